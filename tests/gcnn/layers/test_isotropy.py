"""Swapping and mirroring the axes of an image is the same as swapping those of the filters."""

import pytest
import torch

from gcnn import filters, groups
from gcnn.layers import GroupConv, GroupConvTranspose, LiftingConv
from tests.gcnn.kernels.axis_by_axis.forced import EITHER_WAY

LAYERS = (LiftingConv, GroupConv, GroupConvTranspose)
SIZES = {2: (6, 8), 3: (6, 8, 4)}


def moves(dim):
    """Mirrors and swaps of the last `dim` axes."""
    axes = range(-dim, 0)
    mirrors = [lambda x, a=a: x.flip(a) for a in axes]
    return mirrors + [lambda x, a=a: x.transpose(a, a + 1) for a in axes[:-1]]


def permuting(sampled, move):
    """P `(K, K)` with `move(φ_k) = Σ_l P_kl φ_l`; a permutation with signs."""
    flat, moved = sampled[:, 0].flatten(1), move(sampled[:, 0]).flatten(1)
    matrix = torch.linalg.lstsq(flat.T, moved.T).solution.T
    signs = matrix.round()
    torch.testing.assert_close(matrix, signs, atol=1e-9, rtol=0)
    torch.testing.assert_close(signs.abs().sum(0), torch.ones(len(signs), dtype=torch.float64))
    return signs


@torch.no_grad()
@pytest.mark.parametrize("way", EITHER_WAY.values(), ids=EITHER_WAY)
@pytest.mark.parametrize("combine", ["total", "tensor"])
@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("layer_type", LAYERS, ids=lambda kind: kind.__name__)
def test_every_mirror_and_swap_commutes_with_the_weights_permuted(layer_type, dim, combine, way):
    torch.manual_seed(0)
    basis = filters.HermiteGaussian(combine=combine)
    group = groups.ScaleTranslation([1.0, 0.9, 0.81], dim, 2, basis=basis)
    layer = layer_type(group, 2, 3, 6, stride=2, padding=2).double()
    torch.nn.init.normal_(layer.bias)
    elements = () if layer_type is LiftingConv else (3,)
    x = torch.randn(1, 2, *elements, *SIZES[dim], dtype=torch.float64)
    weight = layer.weight.clone()
    sampled = basis.sample(group.matrices, 6)
    with way():
        expected = layer(x)
        for move in moves(dim):
            layer.weight.copy_(weight @ permuting(sampled, move))
            found = layer(move(x))
            torch.testing.assert_close(found, move(expected), atol=1e-10, rtol=0)


@pytest.mark.parametrize("way", EITHER_WAY.values(), ids=EITHER_WAY)
def test_an_isotropic_filter_commutes_as_it_is(way):
    group = groups.ScaleTranslation([1.0, 0.9], 3)
    layer = LiftingConv(group, 1, 1, 5, padding=2).double()
    degrees = group.basis.degrees(3, 5)
    with torch.no_grad(), way():
        for k, degree in enumerate(degrees):
            layer.weight[..., k] = {(0, 0, 0): 1.0}.get(degree, 0.5 * (max(degree) == 2))
        x = torch.randn(1, 1, 5, 6, 7, dtype=torch.float64)
        expected = layer(x)
        for move in moves(3):
            torch.testing.assert_close(layer(move(x)), move(expected), atol=1e-10, rtol=0)
