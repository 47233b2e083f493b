"""Group convolutions whose elements only see their neighbours, against the definition."""

import itertools

import pytest
import torch
from torch import nn

from gcnn import filters, groups
from gcnn.geometry import rotation
from gcnn.layers import GroupConv, GroupPool, LiftingConv
from tests.gcnn.cases import SCALES, equivariance_error
from tests.gcnn.kernels.axis_by_axis.forced import EITHER_WAY

over_ways = pytest.mark.parametrize("way", EITHER_WAY.values(), ids=EITHER_WAY)
ENDS = ("zero", "replicate", "valid")


def features(group, channels, *size):
    generator = torch.Generator().manual_seed(0)
    shape = (1, channels, group.order, *size)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def by_the_definition(layer, x, end):
    """`out(h, x) = Σ_i Σ_m Σ_y w · φ(h⁻¹(y - x)) f_i(h m, y)`, one number after the other."""
    group, reach = layer.group, layer.kernel_size // 2
    sampled = group.basis.sample(group.matrices, layer.kernel_size)
    order, neighbours, size = group.order, group.interaction, x.shape[3:]
    computed = order - neighbours + 1 if end == "valid" else order
    y = torch.zeros(1, layer.out_channels, computed, *size, dtype=torch.float64)
    places = list(itertools.product(*(range(n) for n in size)))
    for o, i, h, m in itertools.product(
        range(layer.out_channels), range(layer.in_channels), range(computed), range(neighbours)
    ):
        seen = h + m
        if seen >= order:
            if end == "zero":
                continue
            seen = order - 1
        filter_ = (layer.weight[o, i, m, :, None, None] * sampled[:, h]).sum(0)
        for (row, column), (r, c) in itertools.product(places, places):
            if max(abs(r - row), abs(c - column)) <= reach:
                tap = filter_[r - row + reach, c - column + reach]
                y[0, o, h, row, column] += tap * x[0, i, seen, r, c]
    return y + layer.bias.view(-1, 1, 1, 1)


@torch.no_grad()
@pytest.mark.parametrize("interaction", [1, 2, 3])
@pytest.mark.parametrize("end", ENDS)
@over_ways
def test_the_convolution_is_the_sum_of_the_definition(way, end, interaction):
    group = groups.ScaleTranslation([1.0, 0.8, 0.64], 2, interaction, end)
    torch.manual_seed(0)
    layer = GroupConv(group, 2, 1, 3, padding=1).double()
    nn.init.normal_(layer.bias)
    x = features(group, 2, 3, 4)
    with way():
        found = layer(x)
    torch.testing.assert_close(found, by_the_definition(layer, x, end), atol=1e-12, rtol=0)


@pytest.mark.parametrize("group", SCALES, ids=repr)
def test_there_is_a_weight_for_every_neighbour_and_a_block_of_channels_for_every_scale(group):
    layer = GroupConv(group, 4, 5, 3)
    functions = 6 if group.dim == 2 else 10
    outputs = group.target.order
    assert layer.weight.shape == (5, 4, group.interaction, functions)
    assert layer.bias.shape == (5,)
    kernel = (3,) * group.dim
    assert layer.filters().shape == (outputs * 5, group.interaction * 4, *kernel)


@pytest.mark.parametrize("end", ENDS)
@over_ways
def test_what_a_scale_does_not_see_does_not_matter(way, end):
    group = groups.ScaleTranslation([1.0, 0.8, 0.64, 0.512], 2, 2, end)
    layer = GroupConv(group, 1, 1, 3, padding=1).double()
    x = features(group, 1, 4, 5)
    with way(), torch.no_grad():
        before = layer(x)
        for changed in range(4):
            other = x.clone()
            other[:, :, changed] += 1
            difference = (layer(other) - before).abs().amax(dim=(0, 1, 3, 4))
            # h sees h and h + 1, and a replicated last scale sees itself.
            sees = [changed in (h, h + 1) for h in range(group.target.order)]
            assert (difference > 1e-6).tolist() == sees


@over_ways
def test_without_interaction_every_scale_is_a_convolution_of_its_own(way):
    group, x = SCALES[0], features(SCALES[0], 2, 5, 6)
    layer = GroupConv(group, 2, 3, 3, padding=1).double()
    sampled = group.basis.sample(group.matrices, 3)
    with way(), torch.no_grad():
        found = layer(x)
        for h in range(3):
            filter_ = torch.einsum("oik,kxy->oixy", layer.weight[:, :, 0], sampled[:, h])
            expected = nn.functional.conv2d(x[:, :, h], filter_, layer.bias, padding=1)
            torch.testing.assert_close(found[:, :, h], expected, atol=1e-12, rtol=0)


@over_ways
def test_shifting_features_by_a_scale_shifts_the_output_where_both_see_alike(way):
    """`conv(h·f) = h·conv(f)` on constants, which zooming leaves as they are."""
    group = groups.ScaleTranslation([0.512, 0.64, 0.8, 1.0], 2, 2)
    layer = GroupConv(group, 2, 3, 7).double()
    levels = torch.randn(1, 2, 4, 1, 1, dtype=torch.float64).expand(1, 2, 4, 9, 9)
    shifted = torch.cat([torch.zeros_like(levels[:, :, :1]), levels[:, :, :-1]], dim=2)
    with way(), torch.no_grad():
        still, moved = layer(levels), layer(shifted)
    torch.testing.assert_close(moved[:, :, 1:3], still[:, :, :2], atol=1e-12, rtol=0)


@pytest.mark.parametrize("degrees", [90, 180])
@pytest.mark.parametrize("kernel_size", [3, 4])
def test_a_closed_group_with_few_neighbours_is_as_exact_as_with_all(kernel_size, degrees):
    neighbours = torch.stack([rotation(0), rotation(degrees)])
    group = groups.Group(groups.P4().matrices, interacting=neighbours)
    layer = GroupConv(group, 2, 3, kernel_size).double()
    nn.init.normal_(layer.bias)
    assert layer.weight.shape[2] == 2
    assert equivariance_error(layer, group, features(group, 2, 7, 5)) < 1e-10


def rotations_and_scales():
    """Quarter turns and two scales: rotations interact, scales do not."""
    turns = groups.P4().matrices
    matrices = torch.cat([turns, 1.5 * turns])
    basis = filters.HermiteGaussian()
    return groups.Group(matrices, basis, "TurnsAndScales()", interacting=turns)


def test_rotations_and_scales_together_are_exact_on_the_grid():
    group = rotations_and_scales()
    torch.manual_seed(0)
    network = nn.Sequential(
        LiftingConv(group, 1, 2, 5, padding=2), nn.ReLU(), GroupConv(group, 2, 3, 5, padding=2)
    ).double()
    image = torch.randn(2, 1, 8, 7, dtype=torch.float64)
    turned_by_90 = network(torch.rot90(image, 1, (-2, -1)))
    still = network(image).unflatten(2, (2, 4))
    expected = torch.rot90(still.roll(1, dims=3), 1, (-2, -1)).flatten(2, 3)
    torch.testing.assert_close(turned_by_90, expected, atol=1e-12, rtol=0)


def test_outputs_of_a_restricted_window_live_on_its_target():
    group = SCALES[3]
    layer = GroupConv(group, 1, 2, 3, padding=1)
    x = torch.randn(1, 1, group.order, 4, 4, 4)
    y = layer(x)
    assert y.shape == (1, 2, group.order - 1, 4, 4, 4)
    assert GroupPool(group.target)(y).shape == (1, 2, 4, 4, 4)
    again = GroupConv(group.target, 2, 2, 3, padding=1)(y)
    assert again.shape[2] == group.order - 2


def test_groups_of_fields_are_refused():
    with pytest.raises(ValueError, match=r"groups=2 is not possible on ScaleTranslation\(\["):
        GroupConv(SCALES[1], 2, 2, 3, groups=2)


def test_a_feature_map_of_another_window_is_refused():
    layer = GroupConv(SCALES[3], 1, 1, 3)
    with pytest.raises(ValueError, match=r"takes a feature map \(batch, 1, 3, \*3 of space\)"):
        layer(torch.zeros(1, 1, 2, 5, 5, 5))
