"""Separable group convolutions: what they compute, and that they are layers like the others."""

import copy

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from gcnn import groups
from gcnn.layers import GroupConv, SeparableGroupConv, freeze, rewindow
from gcnn.layers.depthwise import depthwise
from tests.gcnn.cases import SCALES, cube, equivariance_error, label, relative_error, size_of
from tests.gcnn.fields.test_fields import continuous

GROUPS = (groups.P4(), groups.P4M(), groups.SteerableSE2(8), cube())
WINDOWS = (
    {"padding": "same"},
    {"padding": 1, "stride": 2},
    {"padding": 2, "dilation": 2, "padding_mode": "circular"},
)


def build(group, *args, **options):
    torch.manual_seed(0)
    return SeparableGroupConv(group, *args, **options).double()


def features(group, channels=2, edge=9, batch=2):
    torch.manual_seed(1)
    return torch.randn(batch, channels, group.order, *size_of(group, edge), dtype=torch.float64)


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("group", GROUPS, ids=label)
def test_moving_the_input_moves_the_output(group, window):
    layer = build(group, 2, 3, 3, **window)
    assert equivariance_error(layer, group, features(group, batch=1)) <= 1e-10


def products_of_filters(layer, group):
    """The filters of the group convolution, element by element, from the definition."""
    spatial, pointwise = layer.spatial.weight, layer.pointwise.weight[..., 0]
    functions = group.basis.sample(group.matrices, layer.spatial.kernel_size)
    filters = torch.zeros(
        len(pointwise), group.order, pointwise.shape[1], group.order, *functions.shape[2:]
    ).double()
    for h in range(group.order):
        for source in range(group.order):
            # The function of an input field, moved by the element that it is applied to.
            moved = torch.einsum("ik,k...->i...", spatial[:, 0], functions[:, source])
            mixing = pointwise[:, :, group.relative[h, source]]
            filters[:, h, :, source] = torch.einsum("oi,i...->oi...", mixing, moved)
    return filters.flatten(2, 3).flatten(0, 1)


@pytest.mark.parametrize("group", GROUPS, ids=label)
def test_it_is_the_convolution_with_products_of_both_weights(group):
    layer, x = build(group, 2, 3, 3, padding=1), features(group)
    convolution = {2: nn.functional.conv2d, 3: nn.functional.conv3d}[group.dim]
    bias = layer.pointwise.bias.repeat_interleave(group.order)
    dense = convolution(x.flatten(1, 2), products_of_filters(layer, group), bias, padding=1)
    assert relative_error(layer(x), dense.view_as(layer(x))) <= 1e-12


@pytest.mark.parametrize("group", [groups.P4(), groups.P4M(), cube()], ids=label)
def test_it_is_a_group_convolution_whose_weight_is_an_outer_product(group):
    layer, x = build(group, 2, 3, 3, padding=1, bias=False), features(group)
    full = GroupConv(group, 2, 3, 3, padding=1, bias=False).double()
    # A basis of pixels: the moved function is its own list of weights.
    moved_pixels = group.basis.sample(group.matrices, 3).flatten(2)
    moved = torch.einsum("ik,kmp->imp", layer.spatial.weight[:, 0], moved_pixels)
    with torch.no_grad():
        full.weight.copy_(layer.pointwise.weight * moved)
    assert relative_error(full(x), layer(x)) <= 1e-12


@pytest.mark.parametrize("group", SCALES, ids=label)
def test_on_a_window_every_scale_has_its_own_filter(group):
    layer, x = build(group, 2, 2, 5, padding=2, bias=False), features(group, edge=11)
    there = layer.spatial(x)
    for element in range(group.order):
        alone = torch.zeros_like(x)
        alone[:, :, element] = x[:, :, element]
        assert relative_error(layer.spatial(alone)[:, :, element], there[:, :, element]) <= 1e-12
        assert not layer.spatial(alone)[:, :, :element].any()
    assert layer(x).shape == GroupConv(group, 2, 2, 5, padding=2)(x.float()).shape


def test_the_same_weights_serve_a_longer_window():
    few, many = (groups.ScaleTranslation(s) for s in ([1.0, 0.8], [1.25, 1.0, 0.8, 0.64]))
    layer, x = build(few, 2, 3, 5, padding="same"), features(many, edge=15)
    assert relative_error(layer(x[:, :, 1:3]), rewindow(layer, many)(x)[:, :, 1:3]) <= 1e-12


@pytest.mark.parametrize("group", GROUPS, ids=label)
def test_it_multiplies_less_than_a_full_convolution(group):
    x, counts = features(group).float(), []
    for kind in (SeparableGroupConv, GroupConv):
        layer = kind(group, 2, 2, 3, padding=1).eval()
        with torch.no_grad():
            layer(x)
            with FlopCounterMode(display=False) as counter:
                layer(x)
        counts.append(counter.get_total_flops())
    pixels, channels = 3**group.dim, 2 * group.order
    assert counts[0] / counts[1] == pytest.approx(1 / pixels + 1 / channels)


@pytest.mark.parametrize("group", GROUPS, ids=label)
def test_features_keep_their_variance_through_relus(group):
    torch.manual_seed(0)
    x = torch.randn(2, 24, group.order, *size_of(group, 12))
    variances = []
    for _ in range(3):
        x = SeparableGroupConv(group, 24, 24, 3, padding="same", padding_mode="circular")(x.relu())
        variances.append(float(x.var()))
    assert 0.4 <= variances[2] / variances[0] <= 2.5


def test_its_state_belongs_to_its_group():
    state = build(groups.P4(), 2, 3, 3).state_dict()
    other = build(groups.P4(), 2, 3, 3)
    nn.init.zeros_(other.spatial.weight)
    other.load_state_dict(state)
    x = features(groups.P4())
    assert torch.equal(other(x), build(groups.P4(), 2, 3, 3)(x))
    with pytest.raises(RuntimeError, match=r"spatial: the weights are those of P4\(\)"):
        build(groups.SE2(4, groups.SteerableSE2(4).basis), 2, 3, 3).load_state_dict(state)


@pytest.mark.parametrize("group", [groups.P4(), cube()], ids=label)
def test_derivatives_are_right(group):
    # A kernel of 5 in the plane, where the gradient is its own.
    layer = build(group, 1, 1, 5 if group.dim == 2 else 3, padding=1, bias=False)
    x = features(group, channels=1, edge=4, batch=2)[:1].requires_grad_()
    weights = tuple(layer.parameters())

    def output(x, spatial, pointwise):
        state = {"spatial.weight": spatial, "pointwise.weight": pointwise}
        return torch.func.functional_call(layer, state, (x,))

    assert torch.autograd.gradcheck(output, (x, *weights), fast_mode=True)
    assert torch.autograd.gradgradcheck(output, (x, *weights), fast_mode=True)


@pytest.mark.parametrize("padding", [0, 1, 4])
@pytest.mark.parametrize("dim", [2, 3])
def test_depthwise_gradients_are_those_of_the_usual_convolution(dim, padding):
    torch.manual_seed(0)
    x = torch.randn(2, 3, *range(7, 7 + dim), dtype=torch.float64, requires_grad=True)
    filters = torch.randn(3, 1, *(5,) * dim, dtype=torch.float64, requires_grad=True)
    usual = {2: nn.functional.conv2d, 3: nn.functional.conv3d}[dim]
    one = depthwise(x, filters, padding)
    other = usual(x, filters, padding=padding, groups=3)
    assert torch.equal(one, other)
    assert "Depthwise" in type(one.grad_fn).__name__
    moved, several = torch.randn_like(one), torch.randn(3, *one.shape, dtype=one.dtype)
    for own, known in zip(
        torch.autograd.grad(one, (x, filters), moved),
        torch.autograd.grad(other, (x, filters), moved),
        strict=True,
    ):
        assert relative_error(known, own) <= 1e-12
    one, other = depthwise(x, filters, padding), usual(x, filters, padding=padding, groups=3)
    at_once = torch.autograd.grad(one, (x, filters), several, is_grads_batched=True)
    for each in range(3):
        known = torch.autograd.grad(other, (x, filters), several[each], retain_graph=True)
        assert all(relative_error(k, o[each]) <= 1e-12 for k, o in zip(known, at_once, strict=True))


@pytest.mark.parametrize("dim", [2, 3])
def test_a_backward_pass_under_autocast_is_not_rounded(dim):
    torch.manual_seed(0)
    x = torch.randn(2, 3, *(8,) * dim, requires_grad=True)
    filters = torch.randn(3, 1, *(5,) * dim, requires_grad=True)
    moved = torch.randn_like(x)
    known = torch.autograd.grad(depthwise(x, filters, 2), (x, filters), moved)
    y = depthwise(x, filters, 2)
    with torch.autocast("cpu", torch.bfloat16):
        own = torch.autograd.grad(y, (x, filters), moved)
    assert all(torch.equal(k, o) for k, o in zip(known, own, strict=True))


@pytest.mark.parametrize("group", [groups.P4(), cube()], ids=label)
def test_it_compiles_without_a_break(group):
    layer, x = build(group, 2, 3, 5), features(group)
    compiled = torch.compile(copy.deepcopy(layer), fullgraph=True, backend="aot_eager")
    assert relative_error(layer(x), compiled(x)) <= 1e-12
    layer(x).square().sum().backward()
    compiled(x).square().sum().backward()
    for own, known in zip(compiled.parameters(), layer.parameters(), strict=True):
        assert relative_error(known.grad, own.grad) <= 1e-12


@pytest.mark.parametrize("group", [*GROUPS, SCALES[0]], ids=label)
def test_frozen_it_is_two_ordinary_convolutions(group):
    layer, x = build(group, 2, 3, 5, padding="same"), features(group)
    frozen = freeze(layer)
    assert relative_error(layer(x), frozen(x)) <= 1e-12
    assert [type(child).__name__ for child in frozen.children()] == ["FrozenConv"] * 2
    assert frozen.spatial.convolution.groups == 2 * group.order


@pytest.mark.parametrize("group", [groups.P4(), cube()], ids=label)
def test_channels_last_and_autocast_stay_what_they_are(group):
    layer, x = SeparableGroupConv(group, 4, 4, 3, padding=1), features(group, channels=4).float()
    last = {2: torch.channels_last, 3: torch.channels_last_3d}[group.dim]
    plain = x.flatten(1, 2).contiguous(memory_format=last)
    y = layer(plain.unflatten(1, x.shape[1:3]))
    assert relative_error(layer(x), y) <= 1e-5
    assert y.flatten(1, 2).is_contiguous(memory_format=last)
    with torch.autocast("cpu", torch.bfloat16):
        half = layer(x)
        half.sum().backward()
    assert half.dtype == torch.bfloat16
    assert relative_error(y, half.float()) <= 2e-2


def test_settings_that_mean_nothing_are_refused():
    with pytest.raises(ValueError, match=r"in_channels must be .*"):
        SeparableGroupConv(groups.P4(), 0, 2, 3)
    with pytest.raises(ValueError, match=r"use GroupConv"):
        SeparableGroupConv(continuous(), 2, 2, 3)
    with pytest.raises(ValueError, match=r"images are lifted first"):
        SeparableGroupConv(groups.P4(), 2, 2, 3)(torch.zeros(1, 2, 8, 8))
