"""Networks for deployment: ordinary convolutions that compute the same."""

import pytest
import torch
from torch import nn

from gcnn import groups, layers
from tests.gcnn.cases import SCALES, cube, equivariance_error


def network(group):
    torch.manual_seed(0)
    lifting = layers.LiftingConv(group, 1, 2, 3, padding="same")
    between = layers.GroupConv(
        group, 2, 4, 3, stride=2, padding=1, groups=2, padding_mode="replicate"
    )
    for layer in (lifting, between):
        nn.init.normal_(layer.bias)
    last = layers.GroupConv(group, 4, 1, 1, bias=False)
    return nn.Sequential(
        lifting,
        layers.GroupBatchNorm(group, 2),
        nn.Sequential(nn.ReLU(), between),
        last,
        layers.GroupPool(group),
    )


@pytest.mark.parametrize("group", [groups.P4(), groups.SteerableSE2(8), cube()], ids=repr)
def test_a_frozen_network_computes_the_same_with_ordinary_convolutions(group):
    original = network(group).double()
    x = torch.randn(2, 1, *(7,) * group.dim, dtype=torch.float64)
    frozen = layers.freeze(original)
    torch.testing.assert_close(frozen(x), original.eval()(x))
    kinds = {type(module) for module in frozen.modules()}
    assert layers.LiftingConv not in kinds and layers.GroupConv not in kinds
    assert equivariance_error(frozen, group, x) < 1e-10


@pytest.mark.parametrize("group", SCALES, ids=repr)
def test_a_frozen_network_on_scales_computes_the_same_on_its_way_down_and_up(group):
    torch.manual_seed(0)
    original = nn.Sequential(
        layers.LiftingConv(group, 1, 2, 5, padding="same"),
        nn.ReLU(),
        layers.GroupConv(group, 2, 3, 6, stride=2, padding=2, padding_mode="replicate"),
        layers.GroupConvTranspose(group, 3, 2, 6, stride=2, padding=2),
        layers.GroupConv(group, 2, 2, 3, bias=False),
        layers.GroupPool(group.target),
    ).double()
    for index in (0, 2, 3):
        nn.init.normal_(original[index].bias)
    x = torch.randn(2, 1, *(8,) * group.dim, dtype=torch.float64)
    frozen = layers.freeze(original)
    torch.testing.assert_close(frozen(x), original.eval()(x))
    kinds = {type(module).__name__ for module in frozen.modules()}
    assert not kinds & {"LiftingConv", "GroupConv", "GroupConvTranspose"}


@pytest.mark.parametrize("group", [groups.SteerableSE2(8), SCALES[1]], ids=repr)
def test_a_frozen_network_keeps_half_precision_under_autocast(group):
    frozen, x = (
        layers.freeze(layers.GroupConv(group, 1, 2, 3)),
        torch.randn(1, 1, group.order, 5, 5),
    )
    with torch.autocast("cpu", torch.bfloat16):
        assert frozen(x).dtype == torch.bfloat16


def test_the_original_is_left_alone():
    original = network(groups.P4()).train()
    before = {name: value.clone() for name, value in original.state_dict().items()}
    layers.freeze(original)
    assert original.training and all(module.training for module in original.modules())
    assert all(parameter.requires_grad for parameter in original.parameters())
    for name, value in original.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_single_layer_can_be_frozen_and_nothing_of_it_is_trained():
    layer = layers.LiftingConv(groups.SE2(8), 2, 3, 5, padding=2)
    frozen = layers.freeze(layer)
    x = torch.randn(1, 2, 6, 6)
    torch.testing.assert_close(frozen(x), layer(x))
    assert not frozen.training
    assert not any(parameter.requires_grad for parameter in frozen.parameters())


def test_a_frozen_network_still_refuses_what_cannot_be_equivariant():
    frozen = layers.freeze(network(groups.P4()))
    with pytest.raises(ValueError, match="break equivariance"):
        frozen(torch.zeros(1, 1, 8, 8))


def test_a_frozen_network_survives_a_file_and_export(tmp_path):
    frozen = layers.freeze(network(groups.P4()))
    x = torch.randn(1, 1, 7, 7)
    torch.save(frozen.state_dict(), tmp_path / "frozen.pt")
    other = layers.freeze(network(groups.P4()))
    other.load_state_dict(torch.load(tmp_path / "frozen.pt", weights_only=True))
    assert torch.equal(other(x), frozen(x))
    exported = torch.export.export(frozen, (x,)).module()
    torch.testing.assert_close(exported(x), frozen(x))
