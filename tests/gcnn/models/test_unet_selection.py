"""A U-Net that answers by selection."""

import pytest
import torch

from gcnn import groups, layers, models
from tests.gcnn.cases import equivariance_error

SCALES = groups.ScaleTranslation([1.0, 0.8, 0.64])


def unet(group, pool="select", out_channels=2):
    torch.manual_seed(0)
    size = 5 if group is SCALES else 3
    network = models.UNet(1, out_channels, group, (2, 3), kernel_size=size, pool=pool)
    network(torch.randn(4, 1, 16, 16))
    return network.double()


@pytest.mark.parametrize("group", [groups.P4(), SCALES], ids=repr)
def test_it_trains_as_with_the_mean_and_has_the_same_weights(group):
    image = torch.randn(2, 1, 16, 16, dtype=torch.float64)
    one, other = unet(group), unet(group, "mean")
    other.load_state_dict(one.state_dict())
    torch.testing.assert_close(one(image), other(image))


@pytest.mark.parametrize("group", [groups.P4(), SCALES], ids=repr)
def test_it_answers_with_the_logits_of_the_elements_it_chooses(group):
    network, image = unet(group).eval(), torch.randn(3, 1, 16, 16, dtype=torch.float64)
    seen = []
    network.project.register_forward_hook(lambda *call: seen.append(call[1][0]))
    found = network(image)
    (weights,) = layers.chosen(network, image)
    each = seen[0]
    assert each.shape == (3, 2, group.order, 16, 16)
    expected = torch.einsum("bch...,bh->bc...", each, weights.double())
    torch.testing.assert_close(found, expected)
    # The same as the head of the features that are chosen, since the head is linear.
    assert weights.sum(dim=1).tolist() == pytest.approx([1.0] * 3)


def test_it_turns_with_the_image():
    network, image = unet(groups.P4()).eval(), torch.randn(2, 1, 16, 16, dtype=torch.float64)
    assert equivariance_error(network, groups.P4(), image) < 1e-10


def test_it_can_be_looked_at_through_a_longer_window_frozen_and_compiled():
    longer = groups.ScaleTranslation([1.5625, 1.25, 1.0, 0.8, 0.64, 0.512])
    network = layers.rewindow(unet(SCALES), longer).eval()
    image = torch.randn(2, 1, 16, 16, dtype=torch.float64)
    with torch.no_grad():
        expected = network(image)
        assert expected.shape == (2, 2, 16, 16)
        torch.testing.assert_close(layers.freeze(network)(image), expected)
        compiled = torch.compile(network, backend="eager", fullgraph=True)
        torch.testing.assert_close(compiled(image), expected)


def test_an_empty_batch_gives_an_empty_answer():
    network = unet(groups.P4()).eval()
    assert network(torch.zeros(0, 1, 16, 16, dtype=torch.float64)).shape == (0, 2, 16, 16)
