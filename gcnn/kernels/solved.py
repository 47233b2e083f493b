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
    return Solved(input_field, output_field, matrices, functions)(functions)


class Solved:
    """The filters of `equivariant_filters`, as sums of all T that are chosen once.

    Args:
        input_field, output_field, matrices, functions: as there.
    """

    def __init__(
        self, input_field: Field, output_field: Field, matrices: Tensor, functions: Tensor
    ) -> None:
        self.after = torch.stack([output_field.action(matrix) for matrix in matrices])
        self.before = torch.stack([input_field.action(matrix) for matrix in matrices])
        with torch.no_grad():
            candidates = self._candidates(functions).flatten(1)
            directions, sizes, _ = torch.linalg.svd(candidates, full_matrices=False)
        independent = sizes > _INDEPENDENT * sizes[0]
        self.coordinates = (directions[:, independent] / sizes[independent]).T

    def __call__(self, functions: Tensor) -> Tensor:
        """The same sums for other functions, as while a basis is learned."""
        candidates = self._candidates(functions)
        filters = self.coordinates @ candidates.flatten(1)
        return torch.unflatten(filters, 1, candidates.shape[1:])

    def _candidates(self, functions: Tensor) -> Tensor:
        """All T, `(candidates, output size, input size, *kernel)`, most of them dependent."""
        kernel, order = functions.shape[2:], functions.shape[1]
        # Fields are orthogonal: the inverse of an action is its transpose.
        moved = self.after, self.before, functions.flatten(2)
        mean = torch.einsum("hca,hdb,khy->abkcdy", *moved) / order
        return torch.unflatten(mean, -1, kernel).flatten(0, 2)
