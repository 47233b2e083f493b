"""The U-Net: its shape, its parameters, what it refuses."""

import pytest
import torch
from torch import nn

from gcnn import filters, groups, layers
from gcnn.models import UNet
from tests.gcnn.cases import cube


def convolutions(model):
    kinds = (nn.Conv2d, layers.LiftingConv, layers.GroupConv)
    return [module for module in model.modules() if isinstance(module, kinds)]


def test_every_level_is_two_convolutions_with_norm_and_activation():
    model = UNet(3, 1, groups.P4(), (2, 3, 4))
    kinds = [type(module).__name__ for module in model.encoder[1][0]]
    assert kinds == ["GroupConv", "GroupBatchNorm", "ReLU"]
    assert len(convolutions(model)) == 1 + 2 * 3 + 2 * 2 + 1
    assert isinstance(model.lift[0], layers.LiftingConv)
    assert isinstance(model.head, nn.Conv2d) and model.head.kernel_size == (1, 1)


def test_a_plain_network_has_no_trace_of_a_group():
    model = UNet(3, 1, channels=(2, 3))
    assert model.lift is None and isinstance(model.project, nn.Identity)
    assert all(isinstance(module, nn.Conv2d) for module in convolutions(model))
    assert model(torch.randn(2, 3, 6, 4)).shape == (2, 1, 6, 4)


def test_the_plain_network_is_the_ordinary_unet_written_out():
    torch.manual_seed(0)
    model = UNet(2, 3, channels=(2, 4)).eval()
    x = torch.randn(1, 2, 8, 6)
    top = model.encoder[0](x)
    bottom = model.encoder[1](nn.functional.max_pool2d(top, 2))
    up = nn.functional.interpolate(bottom, scale_factor=2, mode="bilinear")
    expected = model.head(model.decoder[0](torch.cat([top, up], dim=1)))
    torch.testing.assert_close(model(x), expected)


def test_a_single_level_has_no_poolings():
    model = UNet(1, 1, groups.P4(), (2,))
    assert model.size_multiple == 1
    assert model(torch.randn(1, 1, 5, 7)).shape == (1, 1, 5, 7)


@pytest.mark.parametrize("group", [None, cube()], ids=repr)
def test_volumes(group):
    model = UNet(1, 2, group, (1, 2), dim=3)
    assert model(torch.randn(1, 1, 4, 4, 6)).shape == (1, 2, 4, 4, 6)


def test_signals():
    assert UNet(1, 2, None, (2, 3), dim=1)(torch.randn(1, 1, 8)).shape == (1, 2, 8)


@pytest.mark.parametrize("group", [None, groups.P4()], ids=repr)
@pytest.mark.parametrize("size", [(20, 16), (16, 8), (17, 16), (1, 16)])
def test_a_size_that_is_no_multiple_is_refused_with_sizes_that_fit(group, size):
    model = UNet(3, 1, group)
    odd = next(n for n in size if n % 16)
    below = odd - odd % 16
    nearest = f"{below} or {below + 16}" if below else "16"
    message = rf"every axis must be a multiple of 16 \(4 halvings\), such as {nearest}"
    with pytest.raises(ValueError, match=message):
        model(torch.zeros(1, 3, *size))


@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 3, 4, 16, 16), (1, 3, 16)])
def test_what_is_not_an_image_is_refused(shape):
    with pytest.raises(ValueError, match=r"expected an image \(batch, channels, \*2 of space\)"):
        UNet(3, 1, groups.P4())(torch.zeros(shape))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": ()}, r"channels must be positive integers, one for each level, got \(\)"),
        ({"channels": (4, 0)}, r"channels must be positive integers, .* got \(4, 0\)"),
        ({"channels": (4, 2.5)}, r"channels must be positive integers, .* got \(4, 2.5\)"),
        ({"norm": "layer"}, r"norm must be one of \('batch', 'instance', 'none'\), got 'layer'"),
        ({"downsampling": "stride"}, r"downsampling must be one of .* got 'stride'"),
        ({"kernel_size": 4}, "kernel_size must be odd to keep the size of the maps, got 4"),
        ({"pool": "median"}, r"mode must be one of \('max', 'mean', 'select'\), got 'median'"),
        ({"dropout": 1.5}, r"p must be a probability in \[0, 1\], got 1.5"),
        ({"dim": 3}, r"P4\(\) moves 2D space, got dim=3"),
    ],
    ids=str,
)
def test_settings_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        UNet(3, 1, groups.P4(), **options)


@pytest.mark.parametrize("channels", [8, "8", None])
def test_channels_that_are_no_list_are_refused(channels):
    with pytest.raises(TypeError, match=rf"such as \(8, 16, 32\), got {channels!r}"):
        UNet(1, 1, channels=channels)


def test_an_impossible_dimension_of_a_plain_network_is_refused():
    with pytest.raises(ValueError, match=r"dim must be one of \(1, 2, 3\), got 4"):
        UNet(3, 1, dim=4)


def test_dropout_drops_fields_after_every_convolution_and_only_in_training():
    torch.manual_seed(0)
    model = UNet(1, 1, groups.P4(), (8, 8), dropout=0.5)
    drops = [module for module in model.modules() if isinstance(module, layers.GroupDropout)]
    assert len(drops) == len(convolutions(model)) - 1
    x = torch.randn(1, 1, 8, 8)
    assert not torch.equal(model(x), model(x))
    assert torch.equal(model.eval()(x), model(x))


def test_another_basis_serves_all_convolutions():
    basis = filters.CircularHarmonics()
    model = UNet(1, 1, groups.SE2(4), (2, 3), kernel_size=5, basis=basis)
    for layer in convolutions(model)[:-1]:
        assert layer.basis == basis and layer.weight.shape[-1] == 11


@pytest.mark.parametrize("group", [None, groups.P4(), groups.SteerableSE2(8)], ids=repr)
def test_a_network_learns(group):
    torch.manual_seed(0)
    model = UNet(1, 1, group, (2, 4))
    x = torch.randn(4, 1, 16, 16)
    y = (torch.nn.functional.avg_pool2d(x, 5, 1, 2) > 0).float()
    steps = torch.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(25):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(x), y)
        losses.append(float(loss.detach()))
        steps.zero_grad()
        loss.backward()
        assert all(parameter.grad is not None for parameter in model.parameters())
        steps.step()
    assert losses[-1] < 0.75 * losses[0]
