"""The three products of an evaluation axis by axis: with weights, with features, and back."""

from __future__ import annotations

import torch
from torch import Tensor

from gcnn.kernels.separable.plan import Plan, Slab


def correlate(x: Tensor, mixing: Tensor, plan: Plan) -> Tensor:
    """Expand, mix channels, contract.

    Args:
        x: `(batch, in, |H|, *space)`.
        mixing: `(M, leaves behind · out, leaves before · in)`.
        plan: for this size.

    Returns:
        `(batch, out, |H'|, *space of the output)`.
    """
    leaves = len(plan.behind.leaves())
    channels = mixing.shape[1] // leaves
    y = x.new_zeros(len(x), channels, len(plan.sources), *plan.output_size)
    for h, (seen, slabs) in enumerate(zip(plan.sources, plan.slabs, strict=True)):
        matrix = _beside(mixing, seen)
        for slab in slabs:
            expanded = _expanded(x, seen, slab, plan)
            mixed = _mixed(matrix, expanded, leaves)
            part = plan.behind.contract(mixed, slab.forward)
            y[:, :, h, slab.first : slab.last] += part
    return y


def transpose(y: Tensor, mixing: Tensor, plan: Plan, order: int) -> Tensor:
    """The adjoint of `correlate` in x: `(batch, out, |H'|, ...)` to `(batch, in, |H|, ...)`."""
    leaves = len(plan.before.leaves())
    channels = mixing.shape[2] // leaves
    x = y.new_zeros(len(y), channels, order, *plan.size)
    for h, (seen, slabs) in enumerate(zip(plan.sources, plan.slabs, strict=True)):
        for slab in slabs:
            back = _expanded_back(y, h, slab, plan)
            for m, source in enumerate(seen):
                if source >= 0:
                    mixed = _mixed(mixing[m].T, back, leaves)
                    part = plan.before.contract(mixed, slab.backward)
                    x[:, :, source, slab.start : slab.end] += part
    return x


def mixing_gradient(x: Tensor, y: Tensor, mixing: Tensor, plan: Plan) -> Tensor:
    """The adjoint of `correlate` in the mixing matrices, of their shape."""
    gradient = torch.zeros_like(mixing)
    columns = mixing.shape[2]
    for h, (seen, slabs) in enumerate(zip(plan.sources, plan.slabs, strict=True)):
        present = [m for m, source in enumerate(seen) if source >= 0]
        for slab in slabs:
            back = torch.cat(_expanded_back(y, h, slab, plan), dim=1).flatten(2)
            expanded = torch.cat(_expanded(x, seen, slab, plan), dim=1).flatten(2)
            product = torch.bmm(back, expanded.mT).sum(dim=0)
            for m, part in zip(present, product.split(columns, dim=1), strict=True):
                gradient[m] += part
    return gradient


def _beside(mixing: Tensor, seen: tuple[int, ...]) -> Tensor:
    present = [mixing[m] for m, source in enumerate(seen) if source >= 0]
    return present[0] if len(present) == 1 else torch.cat(present, dim=1)


def _expanded(x: Tensor, seen: tuple[int, ...], slab: Slab, plan: Plan) -> list[Tensor]:
    """All leaves of the elements that are seen, in a slab of the input."""
    return [
        leaf
        for source in seen
        if source >= 0
        for leaf in plan.before.expand(x[:, :, source, slab.start : slab.end], slab.forward)
    ]


def _expanded_back(y: Tensor, h: int, slab: Slab, plan: Plan) -> list[Tensor]:
    return plan.behind.expand(y[:, :, h, slab.first : slab.last], slab.backward)


def _mixed(matrix: Tensor, leaves: list[Tensor], count: int) -> list[Tensor]:
    stacked = leaves[0] if len(leaves) == 1 else torch.cat(leaves, dim=1)
    # A matrix times a batch of matrices would be folded into one product of copies.
    mixed = torch.bmm(matrix.expand(len(stacked), -1, -1), stacked.flatten(2))
    return list(torch.unflatten(mixed, 2, stacked.shape[2:]).chunk(count, dim=1))
