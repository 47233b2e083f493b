"""All filters between any two fields that move with a group, from one formula."""

from __future__ import annotations

import torch
from torch import Tensor

from gcnn.fields import Field

_INDEPENDENT = 1e-9


def equivariant_filters(
    input_field: Field, output_field: Field, matrices: Tensor, functions: Tensor
) -> Tensor:
    """An orthonormal basis of the filters with `f(h y) = ρ_out(h) f(y) ρ_in(h)⁻¹`.

    The mean of any filter over the group is one, and gives all:
    `T[a, b, k] = 1/|H| Σ_h ρ_out(h) e_a e_bᵀ ρ_in(h)⁻¹ ⊗ φ_k(h⁻¹y)`. H may be a finite subset of
    a continuous group if it is a quadrature: N rotations are exact for fields and functions
    whose frequencies sum up to less than N.

    Args:
        input_field: what axis 2 of the input holds.
        output_field: what axis 2 of the output holds.
        matrices: `(|H|, d, d)`: the elements to average over.
        functions: `(K, |H|, *kernel)`: a basis moved by each of them.

    Returns:
        `(P, output size, input size, *kernel)` float64, P independent filters of norm 1.
    """
    candidates = means(input_field, output_field, matrices, functions)
    return combined(coordinates(candidates), candidates)


def means(input_field: Field, output_field: Field, matrices: Tensor, functions: Tensor) -> Tensor:
    """All T, `(candidates, output size, input size, *kernel)`, most of them dependent."""
    after = torch.stack([output_field.action(matrix) for matrix in matrices])
    before = torch.stack([input_field.action(matrix) for matrix in matrices])
    kernel = functions.shape[2:]
    # Fields are orthogonal: the inverse of an action is its transpose.
    mean = torch.einsum("hca,hdb,khy->abkcdy", after, before, functions.flatten(2)) / len(matrices)
    return torch.unflatten(mean, -1, kernel).flatten(0, 2)


@torch.no_grad()
def coordinates(candidates: Tensor) -> Tensor:
    """`(P, candidates)`: sums of candidates that are orthonormal and span them all."""
    directions, sizes, _ = torch.linalg.svd(candidates.flatten(1), full_matrices=False)
    independent = sizes > _INDEPENDENT * sizes[0]
    chosen: Tensor = directions[:, independent] / sizes[independent]
    return chosen.T


def combined(coordinates: Tensor, candidates: Tensor) -> Tensor:
    """Those sums, `(P, output size, input size, *kernel)`."""
    return torch.unflatten(coordinates @ candidates.flatten(1), 1, candidates.shape[1:])
