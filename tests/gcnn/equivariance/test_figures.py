"""The figures the library promises between the grid's own angles.

Images of 65×65, sums of blobs evaluated at turned places; the error `‖y(Rx) - R·y(x)‖ / ‖y(Rx)‖`
in a disc of radius 20, median of six seeds, default initialisation. The bounds are those at which
steerable networks are as good as the best of other libraries, or better.
"""

import statistics

import pytest
import torch
from torch import nn

from gcnn import groups, layers
from tests.gcnn.cases import Blobs

SEEDS = range(6)


def stack(group, kernel_size, depth, between=nn.Identity):
    modules = [layers.LiftingConv(group, 1, 8, kernel_size, padding="same", bias=False)]
    for _ in range(depth - 1):
        modules.append(between())
        modules.append(layers.GroupConv(group, 8, 8, kernel_size, padding="same", bias=False))
    return nn.Sequential(*modules)


def median_error(n, kernel_size, depth, between=nn.Identity):
    group, errors = groups.SteerableSE2(n), []
    for seed in SEEDS:
        torch.manual_seed(seed)
        blobs = Blobs(images=2, seed=seed)
        network = stack(group, kernel_size, depth, between).eval()
        with torch.no_grad():
            upright = network(blobs.image().float()).double()
            turned = network(blobs.image(360 / n).float()).double()
            difference = ((turned - group.act(upright, 1)) * blobs.disc()).flatten(1).norm(dim=1)
            errors.append(
                float((difference / (turned * blobs.disc()).flatten(1).norm(dim=1)).mean())
            )
    return statistics.median(errors)


def anti_aliased():
    return layers.AntiAliased(nn.ReLU(), dim=2)


turns = pytest.mark.parametrize("n", [8, 12], ids=["C8 at 45°", "C12 at 30°"])


@turns
def test_one_layer(n):
    assert median_error(n, 5, 1) <= 0.005


@turns
@pytest.mark.parametrize("kernel_size", [5, 7])
def test_three_layers_with_relu(n, kernel_size):
    assert median_error(n, kernel_size, 3, nn.ReLU) <= 0.015


@turns
@pytest.mark.parametrize(("kernel_size", "bound"), [(5, 0.009), (7, 0.011)])
def test_three_layers_with_anti_aliased_relu(n, kernel_size, bound):
    assert median_error(n, kernel_size, 3, anti_aliased) <= bound


def test_the_default_basis_has_no_fewer_functions_than_the_harmonics_of_other_libraries():
    for kernel_size, count in ((3, 6), (5, 11), (7, 18)):
        layer = layers.GroupConv(groups.SteerableSE2(8), 1, 1, kernel_size)
        assert layer.weight.shape[-1] >= count


def test_anti_aliasing_is_near_a_linear_network():
    linear, smooth = median_error(8, 5, 3), median_error(8, 5, 3, anti_aliased)
    assert smooth < 1.5 * linear
