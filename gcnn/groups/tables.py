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

    Args:
        matrices: real numbers.
        name: what one of them is called, for the errors.

    Raises:
        ValueError: matrices that are not square, real, finite and invertible; names the first.
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
    finite = stacked.isfinite().flatten(1).all(dim=1)
    for holds, fault in (
        (finite, "is not finite"),
        (torch.linalg.det(stacked).abs() >= 1e-12, "cannot be inverted"),
    ):
        if not bool(holds.all()):
            worst = int((~holds).nonzero()[0])
            raise ValueError(f"{name} {worst}, {stacked[worst].tolist()}, {fault}")
    return stacked


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


def pairwise_relative(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """The table of `h⁻¹h'` and the distinct matrices in it, the given ones first.

    Returns:
        `(|H|, |H|)` indices, and `(M, d, d)` matrices.
    """
    order, dim = matrices.shape[:2]
    relative = (torch.linalg.inv(matrices)[:, None] @ matrices[None]).reshape(-1, dim, dim)
    index = find(relative, matrices)
    missing = (index < 0).nonzero().flatten()
    others = relative[missing]
    index[missing] = order + find(others, others)
    used, index = torch.unique(index, return_inverse=True)
    return index.view(order, order), torch.cat([matrices, others])[used]


def seen_elements(matrices: Tensor, interacting: Tensor, outside: str) -> Tensor:
    """The index of `h m` for every element h and every relative element m, `(|H|, M)`.

    Args:
        matrices: `(|H|, d, d)`.
        interacting: `(M, d, d)`.
        outside: for products that are not among the matrices: "replicate" gives the nearest one,
            "zero" and "valid" give -1.

    Raises:
        ValueError: another `outside`.
    """
    if outside not in OUTSIDE:
        raise ValueError(f"outside must be one of {OUTSIDE}, got {outside!r}")
    products = (matrices[:, None] @ interacting).flatten(0, 1)
    index = find(products, matrices)
    if outside == "replicate":
        nearest = torch.cdist(products.flatten(1), matrices.flatten(1)).argmin(dim=1)
        index = torch.where(index < 0, nearest, index)
    return index.view(len(matrices), len(interacting))


def require_distinct(matrices: Tensor) -> None:
    """Raise a ValueError that names two elements that are the same."""
    first = find(matrices, matrices)
    repeated = (first != torch.arange(len(matrices))).nonzero()
    if len(repeated):
        second = int(repeated[0])
        raise ValueError(f"elements {int(first[second])} and {second} are the same matrix")
