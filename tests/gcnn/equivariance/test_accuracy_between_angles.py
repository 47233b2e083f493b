"""The figures a user compares with other libraries, at angles that the pixel grid does not have.

Images are sums of Gaussian blobs, evaluated analytically at turned places; stacks of 1 to 8 fields
at default initialisation; the median over weight seeds.
"""

from statistics import median

import pytest
import torch
from torch import nn

from gcnn import equivariance, groups, layers

FIELDS = 8
SEEDS = 6


def stack(group, kernel_size, depth, activation):
    modules = []
    for layer in range(depth):
        conv, fields = (layers.GroupConv, FIELDS) if layer else (layers.LiftingConv, 1)
        modules += [activation()] if layer else []
        modules.append(conv(group, fields, FIELDS, kernel_size, padding="same", bias=False))
    return nn.Sequential(*modules).double()


def median_error(group, kernel_size, depth, activation):
    images = equivariance.Blobs(size=65, batch=1, radius=18, widths=(1.5, 4.0))
    errors = []
    for seed in range(SEEDS):
        torch.manual_seed(seed)
        network = stack(group, kernel_size, depth, activation)
        errors.append(equivariance.equivariance_error(network, group, images, [1]).worst)
    return median(errors)


def anti_aliased_relu():
    return layers.AntiAliased(nn.ReLU())


@pytest.mark.parametrize("group", [groups.SteerableSE2(8), groups.SteerableSE2(12)], ids=repr)
def test_a_layer_of_5x5_filters_is_within_half_a_percent(group):
    assert group.basis.sample(group.matrices, 5).shape[0] >= 11
    assert median_error(group, 5, 1, nn.ReLU) <= 0.005


@pytest.mark.slow
@pytest.mark.parametrize("group", [groups.SteerableSE2(8), groups.SteerableSE2(12)], ids=repr)
@pytest.mark.parametrize(
    ("kernel_size", "activation", "largest"),
    [
        (5, nn.ReLU, 0.015),
        (7, nn.ReLU, 0.015),
        (5, anti_aliased_relu, 0.009),
        (7, anti_aliased_relu, 0.011),
    ],
)
def test_three_layers_stay_accurate(group, kernel_size, activation, largest):
    assert median_error(group, kernel_size, 3, activation) <= largest


@pytest.mark.slow
def test_an_anti_aliased_network_is_nearly_as_accurate_as_a_linear_one():
    group = groups.SteerableSE2(8)
    linear = median_error(group, 5, 3, nn.Identity)
    assert median_error(group, 5, 3, anti_aliased_relu) <= 1.3 * linear
    assert median_error(group, 5, 3, nn.ReLU) > 1.3 * linear


@pytest.mark.parametrize("group", [groups.SteerableSE2(8), groups.SE2(12)], ids=repr)
def test_multiples_of_90_degrees_are_exact(group):
    torch.manual_seed(0)
    network = stack(group, 5, 2, nn.ReLU)
    blobs = equivariance.Blobs(size=33, batch=1)
    assert equivariance.equivariance_error(network, group, blobs).worst_exact <= 1e-10
