"""One number for every element of the group: the regular representation."""

from __future__ import annotations

import torch
from torch import Tensor

from gcnn.fields.field import Field
from gcnn.geometry import find, ordinary_tensors


class Regular(Field):
    """Samples of a function on the group: `(ρ(h) f)(h') = f(h⁻¹h')`, a permutation.

    Pointwise nonlinearities commute with it. On a window of an infinite group, samples that come
    from outside are zero.

    >>> from gcnn.geometry import rotation
    >>> quarters = [rotation(90 * k) for k in range(4)]
    >>> Regular(torch.stack(quarters)).action(quarters[1]).argmax(dim=1).tolist()
    [3, 0, 1, 2]

    Args:
        matrices: `(|H|, d, d)`, the elements.
    """

    def __init__(self, matrices: Tensor) -> None:
        self.matrices = matrices
        self.size = len(matrices)

    def origins(self, matrix: Tensor) -> Tensor:
        """The index of `h⁻¹h'` for every element h', `(|H|,)`, -1 where it is outside."""
        return find(torch.linalg.inv(matrix) @ self.matrices, self.matrices)

    def inside(self, matrix: Tensor) -> Tensor:
        return self.origins(matrix) >= 0

    @ordinary_tensors()
    def action(self, matrix: Tensor) -> Tensor:
        origins = self.origins(matrix)
        permutation = torch.zeros(self.size, self.size, dtype=torch.float64)
        inside = (origins >= 0).nonzero().flatten()
        permutation[inside, origins[inside]] = 1
        return permutation

    @property
    def invariant(self) -> Tensor:
        return torch.ones(self.size, dtype=torch.float64)

    def constant(self, values: Tensor) -> Tensor:
        return values[:, None].expand(-1, self.size)

    def move(self, features: Tensor, matrix: Tensor) -> Tensor:
        origins = self.origins(matrix).to(features.device)
        moved = features.index_select(2, origins.clamp(min=0))
        outside = (origins < 0).view(-1, *(1,) * (features.ndim - 3))
        return moved.masked_fill(outside, 0) if bool(outside.any()) else moved

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Regular) and torch.equal(self.matrices, other.matrices)

    def __hash__(self) -> int:
        return hash(self.size)

    def __repr__(self) -> str:
        return f"Regular({self.size})"
