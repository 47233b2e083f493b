"""The finite machinery: closure from generators, and tables by comparing matrices."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gcnn.geometry import find, ordinary_tensors
from gcnn.geometry.coordinates import snap

OUTSIDE = ("zero", "replicate", "valid")


def invertible(
    matrices: Tensor | Sequence[Tensor | Sequence[Sequence[float]]], name: str
) -> Tensor:
    """A copy of matrices `(n, d, d)`, or of a list of `(d, d)`, in float64 on the CPU.

    Raises:
        ValueError: matrices that are not square, real, finite and invertible; calls the first of
            them by `name`.
    """
    for position, matrix in enumerate(matrices):
        given = torch.as_tensor(matrix)
        if given.is_complex():
            raise ValueError(f"{name} {position}, {given.tolist()}, is complex; it must be real")
    listed = [torch.as_tensor(matrix, dtype=torch.float64) for matrix in matrices]
    shapes = sorted({tuple(matrix.shape) for matrix in listed})
    if len(shapes) != 1 or len(shapes[0]) != 2 or shapes[0][0] != shapes[0][1]:
        raise ValueError(f"{name}s must be (d, d) matrices, got {len(listed)} of shape {shapes}")
    stacked = torch.stack([matrix.detach().cpu() for matrix in listed])
    for fails, fault in (
        (~stacked.isfinite().flatten(1).all(dim=1), "is not finite"),
        (~(torch.linalg.det(stacked).abs() >= 1e-12), "cannot be inverted"),
    ):
        for worst in fails.nonzero().flatten().tolist():
            raise ValueError(f"{name} {worst}, {stacked[worst].tolist()}, {fault}")
    return stacked


def elements_of(matrices: Tensor | Sequence[Tensor]) -> Tensor:
    """`invertible` matrices, of which no two may be the same."""
    matrices = invertible(matrices, "element")
    first = find(matrices, matrices)
    for second in (first != torch.arange(len(matrices))).nonzero().flatten().tolist():
        raise ValueError(f"elements {int(first[second])} and {second} are the same matrix")
    return matrices


@ordinary_tensors()
def generate(*generators: Tensor | Sequence[Sequence[float]], limit: int = 256) -> Tensor:
    """The finite group that matrices generate: all their products.

    Elements come in the order in which they are found, the identity first, so that one rotation
    gives its powers in turn and a mirror after it doubles them.

    >>> from gcnn.geometry import mirror, rotation
    >>> generate(rotation(90), mirror()).shape
    torch.Size([8, 2, 2])

    Args:
        generators: `(d, d)` invertible matrices.
        limit: how many elements at the most.

    Returns:
        `(|H|, d, d)` float64.

    Raises:
        ValueError: no generators, one that is not square, real, finite and invertible, or more
            than `limit` products (the group is infinite, or the matrices are not accurate enough
            to come back to the identity).
    """
    if not generators:
        raise ValueError("at least one generator is needed")
    matrices = invertible(generators, "generator")
    elements = torch.eye(matrices.shape[-1], dtype=torch.float64)[None]
    for generator in range(1, len(matrices) + 1):
        elements = _close(elements, matrices[:generator], limit)
    return elements


def _close(elements: Tensor, generators: Tensor, limit: int) -> Tensor:
    position = 0
    while position < len(elements):
        for generator in generators:
            product = snap(elements[position] @ generator)[None]
            if find(product, elements)[0] < 0:
                elements = torch.cat([elements, product])
        if len(elements) > limit:
            raise ValueError(
                f"the generators give more than {limit} elements: a sampled group is finite; "
                "for a window of an infinite one, list its matrices"
            )
        position += 1
    return elements


def table(left: Tensor, right: Tensor, among: Tensor) -> Tensor:
    """The index of every product of a left and a right matrix, `(L, R)`, -1 if it is not there."""
    products = (left[:, None] @ right).flatten(0, 1)
    return find(products, among).view(len(left), len(right))


def pairwise_relative(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """The table `(|H|, |H|)` of `h⁻¹h'`, and the distinct matrices in it, the given ones first."""
    order, dim = matrices.shape[:2]
    relative = (torch.linalg.inv(matrices)[:, None] @ matrices).view(-1, dim, dim)
    index = find(relative, matrices)
    others = relative[index < 0]
    index[index < 0] = order + find(others, others)
    used, index = torch.unique(index, return_inverse=True)
    return index.view(order, order), torch.cat([matrices, others])[used]


def seen_elements(matrices: Tensor, interacting: Tensor, outside: str) -> Tensor:
    """The table `(|H|, M)` of `h m` for relative elements m; see `Group` for `outside`."""
    if outside not in OUTSIDE:
        raise ValueError(f"outside must be one of {OUTSIDE}, got {outside!r}")
    index = table(matrices, interacting, among=matrices)
    if outside != "replicate":
        return index
    products = (matrices[:, None] @ interacting).flatten(2)
    nearest = torch.cdist(products, matrices.flatten(1)).argmin(dim=2)
    return torch.where(index < 0, nearest, index)
