"""Every layer commutes with the elements that map the grid onto itself, to rounding error."""

import pytest
import torch
from torch import nn

from gcnn import groups, layers
from tests.gcnn.cases import (
    CLOSED,
    OTHER_BASES,
    SPATIAL,
    cube,
    equivariance_error,
    exact_elements,
    label,
    size_of,
)

EXACT = 1e-10
over_groups = pytest.mark.parametrize("group", [*CLOSED, *OTHER_BASES], ids=label)


def image(group, channels=2, edge=7):
    size = size_of(group, edge if group.dim == 2 else 5)
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, channels, *size, generator=generator, dtype=torch.float64)


def features(group, channels=2, edge=7):
    size = size_of(group, edge if group.dim == 2 else 5)
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, channels, group.order, *size, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("kernel_size", [3, 5])
@over_groups
def test_lifting(group, kernel_size):
    layer = layers.LiftingConv(group, 2, 3, kernel_size, padding="same").double()
    assert equivariance_error(layer, group, image(group)) < EXACT


@over_groups
def test_group_convolution(group):
    torch.manual_seed(0)
    layer = layers.GroupConv(group, 2, 2, 3, padding="same").double()
    nn.init.normal_(layer.bias)
    assert equivariance_error(layer, group, features(group)) < EXACT


@pytest.mark.parametrize("kernel_size", [2, 4, 7])
@pytest.mark.parametrize(
    "group", [groups.P4M(), groups.SteerableSE2(8), groups.Dihedral(8)], ids=repr
)
def test_even_and_large_kernels(group, kernel_size):
    layer = layers.GroupConv(group, 1, 2, kernel_size).double()
    assert equivariance_error(layer, group, features(group, channels=1, edge=9)) < EXACT


@pytest.mark.parametrize(
    ("options", "edge"),
    [
        ({"stride": 2, "padding": 1}, 7),
        ({"stride": 2}, 9),
        ({"stride": 3, "padding": 1}, 7),
        ({"dilation": 2, "padding": "same"}, 8),
        ({"groups": 2, "padding": 1}, 6),
        ({"padding": 2, "padding_mode": "reflect"}, 6),
        ({"padding": 2, "padding_mode": "replicate"}, 6),
        ({"padding": "same", "padding_mode": "circular"}, 6),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "group", [groups.P4M(), groups.SE2(8), groups.SteerableSE2(12), cube()], ids=repr
)
def test_every_option_of_a_convolution(group, options, edge):
    size = size_of(group, edge if group.dim == 2 else 7)
    x = torch.randn(1, 2, group.order, *size, dtype=torch.float64)
    layer = layers.GroupConv(group, 2, 2, 3, **options).double()
    assert equivariance_error(layer, group, x) < EXACT


@pytest.mark.parametrize("mode", ["max", "mean"])
@over_groups
def test_group_pooling_gives_an_image_that_moves_with_the_input(group, mode):
    assert equivariance_error(layers.GroupPool(group, mode), group, features(group)) < EXACT


@over_groups
@pytest.mark.parametrize(
    "norm", [layers.GroupBatchNorm, layers.GroupInstanceNorm], ids=lambda norm: norm.__name__
)
def test_normalisation_in_train_and_eval_mode(group, norm):
    layer = norm(group, 2, affine=True).double()
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    assert equivariance_error(layer, group, features(group)) < EXACT
    assert equivariance_error(layer.eval(), group, features(group)) < EXACT


def spatial_layers(dim):
    return (
        layers.SpatialMaxPool(2, dim=dim),
        layers.SpatialMaxPool(3, stride=1, padding=1, dim=dim),
        layers.SpatialAvgPool(2, dim=dim),
        layers.SpatialAvgPool(4, stride=2, padding=1, dim=dim),
        layers.SpatialBlurPool(2, dim=dim),
        layers.SpatialUpsample(2, dim=dim),
        layers.SpatialUpsample(3, "nearest", dim=dim),
        layers.AntiAliased(nn.ReLU(), dim=dim),
    )


@pytest.mark.parametrize("on_features", [False, True], ids=["image", "features"])
@pytest.mark.parametrize("group", [groups.P4M(), groups.Dihedral(8), *SPATIAL], ids=repr)
@pytest.mark.parametrize("index", range(8))
def test_layers_over_space(group, index, on_features):
    layer = spatial_layers(group.dim)[index]
    size = (6, 8, 4)[: group.dim]
    x = torch.randn(2, 3, *([group.order] if on_features else []), *size, dtype=torch.float64)
    assert equivariance_error(layer, group, x) < EXACT


@over_groups
def test_a_stack_of_everything_on_a_map_that_is_not_square(group):
    torch.manual_seed(0)
    dim = group.dim
    network = nn.Sequential(
        layers.LiftingConv(group, 1, 2, 3, padding="same"),
        layers.GroupBatchNorm(group, 2),
        nn.ReLU(),
        layers.SpatialMaxPool(2, dim=dim),
        layers.GroupConv(group, 2, 2, 3, padding="same"),
        layers.AntiAliased(nn.SiLU(), dim=dim),
        layers.GroupDropout(0.5),
        layers.SpatialUpsample(2, dim=dim),
        layers.GroupPool(group),
        layers.GroupDropout(0.5),
    ).double()
    x = torch.randn(1, 1, *(8, 6, 4)[:dim], dtype=torch.float64)
    assert equivariance_error(network.eval(), group, x) < EXACT


def test_the_check_can_fail():
    group = groups.P4()
    plain = nn.Conv2d(1, 4, 3, padding=1).double()
    network = nn.Sequential(plain, nn.Unflatten(1, (1, 4)))
    assert equivariance_error(network, group, image(group, channels=1)) > 0.1
    assert exact_elements(groups.SE2(8)) == [0, 2, 4, 6]
    assert len(exact_elements(cube())) == 24
