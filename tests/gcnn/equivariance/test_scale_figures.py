"""The figures the library promises for networks on scales.

Images of 65×65 and volumes of 33³, sums of blobs zoomed by their formula; the error
`‖y(L_s x)[k+j] - zoom_s y(x)[k]‖ / ‖y(L_s x)[k+j]‖` over channels and the pairs of scales that are
both in the window, in a disc of radius 16 (2D) or a ball of radius 8 (3D), median of the seeds.
"""

import statistics

import pytest
import torch
from torch import nn

from gcnn import groups, layers
from gcnn.equivariance import Blobs
from gcnn.geometry import grid_points, transform

SEEDS = range(4)
SETTINGS = {
    2: ([2 ** (i / 3) for i in range(4)], 65, 16, 15),
    3: ([0.9**i for i in range(4)], 33, 8, 7),
}
NEAREST, FARTHEST = 1, 3


def stack(group, kernel_size, depth, fields=8):
    options = {"kernel_size": kernel_size, "padding": "same", "bias": False}
    modules = [layers.LiftingConv(group, 1, fields, **options)]
    for _ in range(depth - 1):
        modules += [nn.ReLU(), layers.GroupConv(group, fields, fields, **options)]
    return nn.Sequential(*modules).eval()


def median_errors(dim, depth, step, interaction=1):
    """The error over all pairs of scales `step` apart, and of every pair by itself."""
    scales, size, radius, kernel_size = SETTINGS[dim]
    group = groups.ScaleTranslation(scales, dim, interaction=interaction)
    inside = grid_points((size,) * dim).norm(dim=-1) <= radius
    matrix = group.matrices[step]
    together, pairs = [], []
    for seed in SEEDS:
        torch.manual_seed(seed)
        blobs = Blobs(size=size, batch=1, dim=dim, seed=seed)
        network = stack(group, kernel_size, depth)
        with torch.no_grad():
            still, zoomed = (network(x.float()) for x in (blobs.images(), blobs.moved(matrix)))
        expected = transform(still.double(), matrix)[:, :, : group.order - step, ..., inside]
        observed = zoomed.double()[:, :, step:, ..., inside]
        difference = observed - expected
        together.append(float(difference.norm() / observed.norm()))
        sizes = (y.movedim(2, 0).flatten(1).norm(dim=1) for y in (difference, observed))
        pairs.append(torch.div(*sizes).tolist())
    return statistics.median(together), [
        statistics.median(pair) for pair in zip(*pairs, strict=True)
    ]


def test_one_layer_in_space():
    assert median_errors(3, 1, NEAREST)[0] <= 0.004


@pytest.mark.parametrize(("step", "bound"), [(NEAREST, 0.02), (FARTHEST, 0.035)])
def test_three_layers_in_space(step, bound):
    assert median_errors(3, 3, step)[0] <= bound


@pytest.mark.parametrize("step", [NEAREST, FARTHEST])
def test_three_layers_in_the_plane(step):
    assert median_errors(2, 3, step)[0] <= 0.05


@pytest.mark.parametrize(("dim", "bound"), [(2, 0.1), (3, 0.04)])
def test_two_interacting_scales_lose_little_where_both_sides_see_the_same_neighbours(dim, bound):
    interior, *ends = median_errors(dim, 3, NEAREST, interaction=2)[1]
    assert interior <= bound < min(ends)


def test_ten_functions_or_more_in_space():
    layer = layers.GroupConv(groups.ScaleTranslation(SETTINGS[3][0], 3), 1, 1, 7)
    assert layer.weight.shape[-1] >= 10
