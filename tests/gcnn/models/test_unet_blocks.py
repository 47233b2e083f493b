"""The U-Net with residual units, strided convolutions down and transposed convolutions up."""

import pytest
import torch
from torch import nn

from gcnn import groups, layers
from gcnn.models import ResidualUnit, UNet
from tests.gcnn.cases import cube, equivariance_error
from tests.gcnn.models.test_unet_exactness import EXACT, trained

CONVOLVING = {"block": "residual", "downsampling": "strided", "upsampling": "transposed"}


def test_a_residual_unit_adds_its_input_before_the_last_nonlinearity():
    unit = ResidualUnit(nn.Linear(2, 3), nn.Linear(2, 3, bias=False), nn.ReLU())
    x = torch.randn(4, 2)
    expected = (unit.body(x) + x @ unit.shortcut.weight.T).clamp(min=0)
    torch.testing.assert_close(unit(x), expected)


@pytest.mark.parametrize("group", [None, groups.P4()], ids=repr)
def test_a_residual_level_is_two_convolutions_and_a_way_around_them(group):
    torch.manual_seed(0)
    model = UNet(3, 1, group, (2, 4), norm="instance", block="residual")
    level = model.encoder[1]
    (conv, norm, relu), second, last_norm = level.body
    x = torch.randn(1, 2, *([] if group is None else [4]), 6, 6)
    by_hand = last_norm(second(relu(norm(conv(x))))) + level.shortcut(x)
    torch.testing.assert_close(level(x), by_hand.clamp(min=0))
    assert conv.kernel_size in (3, (3, 3)) and level.shortcut.kernel_size in (1, (1, 1))


def test_the_shortcut_is_the_identity_where_the_width_stays():
    model = UNet(3, 1, groups.P4(), (2, 4), **CONVOLVING)
    assert all(isinstance(level.shortcut, nn.Identity) for level in model.encoder)
    assert isinstance(model.decoder[0].shortcut, layers.GroupConv)


def test_the_whole_ordinary_network_written_out():
    torch.manual_seed(0)
    model = UNet(2, 3, channels=(2, 4), dim=3, **CONVOLVING).eval()
    x = torch.randn(1, 2, 4, 6, 8)
    top = model.encoder[0](x)
    bottom = model.encoder[1](model.down[0](top))
    up = model.up[0](bottom)
    assert bottom.shape == (1, 4, 2, 3, 4) and up.shape == (1, 2, 4, 6, 8)
    expected = model.head(model.decoder[0](torch.cat([top, up], dim=1)))
    torch.testing.assert_close(model(x), expected)


def test_convolutions_between_the_levels_change_the_width_and_have_norm_and_activation():
    model = UNet(1, 1, groups.P4(), (2, 3, 5), **CONVOLVING)
    kinds = [type(module).__name__ for module in model.down[0]]
    assert kinds == ["GroupConv", "GroupBatchNorm", "ReLU"]
    assert [(down[0].in_channels, down[0].out_channels) for down in model.down] == [(2, 3), (3, 5)]
    assert [(up[0].in_channels, up[0].out_channels) for up in model.up] == [(5, 3), (3, 2)]
    assert all(isinstance(up[0], layers.GroupConvTranspose) for up in model.up)


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_sizes_are_halved_and_doubled_in_every_dimension(dim, kernel_size):
    model = UNet(1, 2, None, (2, 3, 4), dim, kernel_size, norm="none", **CONVOLVING)
    size = (8, 4, 12)[:dim]
    assert model.size_multiple == 4
    assert model(torch.randn(1, 1, *size)).shape == (1, 2, *size)
    assert model.down[0](torch.randn(1, 2, *size)).shape[2:] == tuple(n // 2 for n in size)


def test_an_ordinary_network_with_point_symmetric_kernels_commutes_with_point_reflection():
    torch.manual_seed(0)
    model = UNet(1, 1, None, (2, 3, 4), 3, **CONVOLVING).double().eval()
    for weight in model.parameters():
        if weight.ndim == 5:
            weight.data = weight.data + weight.data.flip(2, 3, 4)
    x = torch.randn(1, 1, 8, 4, 12, dtype=torch.float64)
    with torch.no_grad():
        moved, still = model(x.flip(2, 3, 4)), model(x).flip(2, 3, 4)
    assert (moved - still).norm() < EXACT * still.norm()


@pytest.mark.parametrize(
    "options",
    [
        CONVOLVING,
        {"block": "residual"},
        {"downsampling": "strided"},
        {"upsampling": "transposed"},
        {**CONVOLVING, "norm": "instance", "anti_aliased": True, "pool": "mean"},
        {**CONVOLVING, "norm": "none", "dropout": 0.3, "activation": nn.SiLU},
        {**CONVOLVING, "kernel_size": 5},
        {**CONVOLVING, "kernel_size": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "group", [groups.P4(), groups.P4M(), groups.SteerableSE2(8), groups.Dihedral(8)], ids=repr
)
def test_planar_networks_are_exact_at_quarter_turns(group, options):
    x = torch.randn(1, 1, 8, 12, dtype=torch.float64)
    model = trained(UNet(1, 2, group, (2, 3, 2), **options), x)
    assert equivariance_error(model, group, x) < EXACT


def test_a_volume_under_the_rotations_of_the_cube():
    x = torch.randn(1, 1, 4, 4, 8, dtype=torch.float64)
    model = trained(UNet(1, 1, cube(), (1, 2), **CONVOLVING), x)
    assert equivariance_error(model, cube(), x) < EXACT


def test_a_constant_feature_stays_constant_where_a_transposed_convolution_doubles_it():
    """Narrow kernels give every second pixel another sum of weights: a chessboard."""
    torch.manual_seed(0)
    group = groups.ScaleTranslation([1.0, 0.9, 0.81, 0.729], dim=2)
    model = UNet(1, 1, group, (4, 4), kernel_size=7, **CONVOLVING)
    inside = model.up[0][0](torch.ones(1, 4, 4, 20, 20)).detach()[..., 10:-10, 10:-10]
    contrast = inside.std(dim=(-2, -1)).mean() / inside.abs().mean()
    assert contrast < 0.01


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_initial_weights_keep_the_variance_through_a_transposed_convolution(dim):
    torch.manual_seed(0)
    size = (64, 32, 12)[dim - 1]
    model = UNet(1, 1, None, (16, 16), dim, norm="none", **CONVOLVING)
    x = torch.randn(4, 16, *(size,) * dim).relu()
    y = model.up[0][0](x).detach()[(..., *(slice(4, -4),) * dim)]
    # A ReLU halves the mean square, which the weights make up for.
    assert float(y.square().mean() / (2 * x.square().mean())) == pytest.approx(1, rel=0.25)


def test_dropout_follows_every_convolution_and_every_residual_sum():
    model = UNet(1, 1, groups.P4(), (4, 8), dropout=0.5, **CONVOLVING)
    drops = [module for module in model.modules() if isinstance(module, layers.GroupDropout)]
    # Lifting, down, up, and two in each of three levels.
    assert len(drops) == 3 + 2 * 3
    x = torch.randn(1, 1, 8, 8)
    assert not torch.equal(model(x), model(x))
    assert torch.equal(model.eval()(x), model(x))


@pytest.mark.parametrize("group", [None, groups.P4()], ids=repr)
def test_the_size_a_network_needs_is_that_of_its_halvings(group):
    model = UNet(1, 1, group, (1, 1, 1, 1), **CONVOLVING)
    assert model.size_multiple == 8
    with pytest.raises(
        ValueError, match=r"must be a multiple of 8 \(3 halvings\), such as 8 or 16"
    ):
        model(torch.zeros(1, 1, 8, 12))


def test_a_window_that_shrinks_with_every_convolution_is_refused():
    group = groups.ScaleTranslation([1.0, 1.25, 1.5625], interaction=2, scale_padding="valid")
    with pytest.raises(ValueError, match="leaves out elements at every convolution"):
        UNet(1, 1, group, (2, 3), kernel_size=5)


@pytest.mark.parametrize("padding", ["zero", "replicate"])
def test_scales_may_interact(padding):
    group = groups.ScaleTranslation([1.0, 1.25, 1.5625], interaction=2, scale_padding=padding)
    model = UNet(1, 2, group, (2, 3), kernel_size=5, **CONVOLVING)
    assert model(torch.randn(1, 1, 8, 12)).shape == (1, 2, 8, 12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"block": "dense"}, r"block must be one of \('double', 'residual'\), got 'dense'"),
        ({"downsampling": "stride"}, "downsampling must be one of .*'strided'.* got 'stride'"),
        ({"upsampling": "nearest"}, r"upsampling must be one of \('linear', 'transposed'\), got"),
        ({"kernel_size": 2, **CONVOLVING}, "kernel_size must be odd to keep the size of the maps"),
    ],
    ids=str,
)
def test_settings_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        UNet(1, 1, groups.P4(), **options)


@pytest.mark.parametrize("group", [None, groups.P4(), groups.SteerableSE2(8)], ids=repr)
def test_a_network_learns(group):
    torch.manual_seed(0)
    model = UNet(1, 1, group, (2, 4), **CONVOLVING)
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
