"""Axis by axis gives what dense filters give: outputs, and the gradients of everything."""

import pytest
import torch
from torch import nn

from gcnn import filters, groups
from gcnn.layers import GroupConv, GroupConvTranspose, LiftingConv
from tests.gcnn.cases import cube
from tests.gcnn.kernels.axis_by_axis.forced import by_axes, dense_filters

LAYERS = (LiftingConv, GroupConv, GroupConvTranspose)
over_layers = pytest.mark.parametrize("layer_type", LAYERS, ids=lambda kind: kind.__name__)
SIZES = {2: (12, 8), 3: (8, 10, 6)}
WINDOWS = (
    {"kernel_size": 5, "padding": 2},
    {"kernel_size": 6, "padding": 2, "stride": 2},
    {"kernel_size": 4, "padding": 0, "stride": 2},
    {"kernel_size": 3, "padding": 4, "dilation": 2},
    {"kernel_size": 5, "padding": 2, "padding_mode": "reflect"},
    {"kernel_size": 5, "padding": 3, "padding_mode": "replicate"},
    {"kernel_size": 5, "padding": 2, "padding_mode": "circular"},
    {"kernel_size": 1, "padding": 0},
)


def scales(dim, interaction=1, scale_padding="zero", **settings):
    basis = filters.HermiteGaussian(**settings)
    return groups.ScaleTranslation([1.0, 0.8, 0.64], dim, interaction, scale_padding, basis)


def elements_before(layer):
    if isinstance(layer, LiftingConv):
        return ()
    on = layer.group.target if isinstance(layer, GroupConvTranspose) else layer.group
    return (on.order,)


def build(layer_type, group, size, **window):
    """A layer with random weights and bias, and an input for it, in float64."""
    torch.manual_seed(0)
    layer = layer_type(group, 2, 3, **window).double()
    nn.init.normal_(layer.bias)
    x = torch.randn(2, 2, *elements_before(layer), *size, dtype=torch.float64)
    return layer, x.requires_grad_()


def outcome(layer, x):
    y = layer(x)
    seed = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).sin().view(y.shape)
    return y, *torch.autograd.grad(y, [x, *layer.parameters()], seed)


def check(layer, x, **forced):
    with dense_filters():
        expected = outcome(layer, x)
    with by_axes(**forced):
        found = outcome(layer, x)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=1e-10)


def fitting(windows):
    """Layers and windows; transposed convolutions only know zeros around the input."""
    return [
        pytest.param(kind, window, id=f"{kind.__name__}-{window}")
        for kind in LAYERS
        for window in windows
        if kind is not GroupConvTranspose or "padding_mode" not in window
    ]


@pytest.mark.parametrize(("layer_type", "window"), fitting(WINDOWS))
@pytest.mark.parametrize("dim", [2, 3])
def test_with_every_window(layer_type, dim, window):
    layer, x = build(layer_type, scales(dim, 2), SIZES[dim], **window)
    for expanded in range(dim):
        check(layer, x, expanded=expanded, thickness=3)


@pytest.mark.parametrize("scale_padding", ["zero", "replicate", "valid"])
@pytest.mark.parametrize("interaction", [1, 2, 3])
@over_layers
def test_with_every_interaction_and_end(layer_type, interaction, scale_padding):
    group = scales(2, interaction, scale_padding)
    check(*build(layer_type, group, SIZES[2], kernel_size=5, padding=2), thickness=3)


@pytest.mark.parametrize("settings", [{"combine": "tensor"}, {"order": 3}, {"order": 0}], ids=str)
@pytest.mark.parametrize("dim", [2, 3])
@over_layers
def test_with_other_sets_of_functions(layer_type, dim, settings):
    layer, x = build(layer_type, scales(dim, 2, **settings), SIZES[dim], kernel_size=5, padding=2)
    for expanded in range(dim):
        check(layer, x, expanded=expanded)


@pytest.mark.parametrize("size", [(70, 8), (8, 70), (97, 66)])
@pytest.mark.parametrize(("layer_type", "window"), fitting(WINDOWS[::5] + WINDOWS[6:7]))
def test_on_axes_so_long_that_their_matrices_are_cut_into_tiles(layer_type, size, window):
    for expanded in range(2):
        check(*build(layer_type, scales(2), size, **window), expanded=expanded, thickness=40)


@over_layers
def test_on_long_axes_with_a_stride(layer_type):
    window = {"kernel_size": 4, "padding": 1, "stride": 2}
    check(*build(layer_type, scales(2, 2), (140, 6), **window), thickness=17)


@over_layers
def test_with_tiles_of_any_size(layer_type):
    layer, x = build(layer_type, scales(2, 2), (8, 6), kernel_size=6, padding=2, stride=2)
    for thickness in range(1, 10):
        check(layer, x, thickness=thickness)


@over_layers
def test_on_a_group_that_is_no_window(layer_type):
    """A group of scales all of which interact has more relative elements than elements."""
    matrices = [scale * torch.eye(2, dtype=torch.float64) for scale in (1.0, 1.5, 2.25)]
    group = groups.Group(matrices, filters.HermiteGaussian())
    check(*build(layer_type, group, SIZES[2], kernel_size=5, padding=2))


@over_layers
def test_without_a_bias(layer_type):
    layer, x = build(layer_type, scales(2), SIZES[2], kernel_size=5, padding=2)
    layer.bias = None
    check(layer, x)


def test_groups_that_turn_filters_take_dense_ones():
    for group in (groups.P4(), groups.Group(cube().matrices, filters.HermiteGaussian())):
        assert GroupConv(group, 1, 1, 3)._axes is None


def test_a_dense_filter_built_by_mistake_is_noticed():
    layer, x = build(LiftingConv, groups.P4(), (5, 5), kernel_size=3)
    with by_axes(), pytest.raises(AssertionError, match="a dense filter was built"):
        layer(x)
