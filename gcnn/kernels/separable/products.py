"""The products of an evaluation axis by axis: with weights, with features, and back.

With features x and y of both sides and weights M, `⟨y, correlate(x, M)⟩` is linear in each of the
three. Its partial derivatives are the products: `correlate(x, M)`, its adjoint `transpose(y, M)`,
and the gradient of the weights.

In between, maps are `(channels · batch, *space)`: mixing the channels of the whole batch is one
product of matrices then, and so is every step along an axis.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gcnn.kernels.separable.operators import Operator
from gcnn.kernels.separable.plan import Plan, Slab
from gcnn.kernels.separable.scratch import Scratch
from gcnn.kernels.separable.tree import Tree


def partials(
    x: Tensor | None,
    y: Tensor | None,
    mixing: Tensor,
    plan: Plan,
    wanted: tuple[bool, bool, bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """The partial derivatives of `⟨y, correlate(x, mixing)⟩` that are wanted, None for the others.

    Args:
        x: `(batch, in, |H|, *space)`, unless only the derivative by x is wanted.
        y: `(batch, out, |H'|, *space of the output)`, unless only that by y is.
        mixing: `(M, leaves after · out, leaves before · in)`.
        plan: for this size.
        wanted: by x, by y, and by the weights.

    Returns:
        tensors as x, y and mixing, in the dtype of the plan.
    """
    order = plan.order if x is None else x.shape[2]
    # What is not wanted is not computed, and its partners need not be expanded.
    x, y = x if wanted[1] or wanted[2] else None, y if wanted[0] or wanted[2] else None
    by_x = _input(y, mixing, plan, order) if wanted[0] and y is not None else None
    by_y = _output(x, mixing, plan) if wanted[1] and x is not None else None
    by_mixing = torch.zeros_like(mixing) if wanted[2] else None
    room, batch = Scratch(mixing), max(0 if side is None else len(side) for side in (x, y))
    for first in range(0, batch, plan.samples):
        here = slice(first, first + plan.samples)
        for step in _steps(plan, room):
            expanded = None if x is None else step.expanded(x[here])
            back = None if y is None else step.expanded_back(y[here])
            if by_x is not None and back is not None:
                step.add_transposed(by_x[here], back, mixing)
            if by_y is not None and expanded is not None:
                step.add_correlated(by_y[here], expanded, mixing)
            if by_mixing is not None and expanded is not None and back is not None:
                step.add_gradient(by_mixing, expanded, back)
    return by_x, by_y, by_mixing


def _output(x: Tensor, mixing: Tensor, plan: Plan) -> Tensor:
    channels = mixing.shape[1] // len(plan.after.leaves())
    shape = (len(x), channels, len(plan.sources), *plan.output_size)
    return x.new_zeros(shape, dtype=plan.dtype)


def _input(y: Tensor, mixing: Tensor, plan: Plan, order: int) -> Tensor:
    channels = mixing.shape[2] // len(plan.before.leaves())
    return y.new_zeros((len(y), channels, order, *plan.size), dtype=plan.dtype)


@dataclass(frozen=True)
class _Step:
    """One slab of one element of the output.

    Attributes:
        h: the element.
        seen: the elements it sees, as relative ones and as those of the input.
        slab, plan: where.
        room: for what lies between.
    """

    h: int
    seen: tuple[tuple[int, int], ...]
    slab: Slab
    plan: Plan
    room: Scratch

    def expanded(self, x: Tensor) -> Tensor:
        """All leaves of the elements that are seen, `(elements · leaves · in, batch · places)`."""
        parts = [self._range(x, source, self.slab.input) for _, source in self.seen]
        return self._leaves("before", parts, self.plan.before, self.slab.forward)

    def expanded_back(self, y: Tensor) -> Tensor:
        """All leaves of the element of the output, `(leaves · out, batch · places)`."""
        parts = [self._range(y, self.h, self.slab.output)]
        return self._leaves("after", parts, self.plan.after, self.slab.backward)

    def add_correlated(self, y: Tensor, expanded: Tensor, mixing: Tensor) -> None:
        matrix = torch.cat([mixing[m] for m, _ in self.seen], dim=1)
        part = self._contracted(matrix, expanded, self.plan.after, self.slab.forward, len(y))
        self._range(y, self.h, self.slab.output).add_(part)

    def add_transposed(self, x: Tensor, back: Tensor, mixing: Tensor) -> None:
        for m, source in self.seen:
            matrix = mixing[m].T
            part = self._contracted(matrix, back, self.plan.before, self.slab.backward, len(x))
            self._range(x, source, self.slab.input).add_(part)

    def add_gradient(self, gradient: Tensor, expanded: Tensor, back: Tensor) -> None:
        product = back @ expanded.T
        columns = product.split(gradient.shape[2], dim=1)
        for (m, _), part in zip(self.seen, columns, strict=True):
            gradient[m] += part

    def _range(self, x: Tensor, element: int, places: slice) -> Tensor:
        """A range of the axis of the slabs, `(channels, batch, *space)`."""
        length = places.stop - places.start
        return x[:, :, element].narrow(2 + self.plan.axis, places.start, length).transpose(0, 1)

    def _leaves(
        self, name: str, parts: Sequence[Tensor], tree: Tree, operators: Sequence[Operator]
    ) -> Tensor:
        channels, batch = parts[0].shape[:2]
        count = len(parts) * len(tree.leaves())
        leaves = self.room.take(name, (count, channels * batch, *self.slab.size))
        room = iter(leaves)
        for part in parts:
            whole = self.room.take("whole", tuple(part.shape)).copy_(part)
            tree.expand(whole.flatten(0, 1), operators, room, self.room)
        return leaves.view(count * channels, batch * math.prod(self.slab.size))

    def _contracted(
        self,
        matrix: Tensor,
        expanded: Tensor,
        tree: Tree,
        operators: Sequence[Operator],
        batch: int,
    ) -> Tensor:
        """Mix channels and contract: to `(channels, batch, *space)`."""
        leaves = len(tree.leaves())
        channels = len(matrix) // leaves
        mixed = self.room.take("mixed", (len(matrix), expanded.shape[1]))
        torch.mm(matrix, expanded, out=mixed)
        maps = iter(mixed.view(leaves, channels * batch, *self.slab.size))
        total = tree.contract(maps, operators, self.room)
        return total.view(channels, batch, *total.shape[1:])


def _steps(plan: Plan, room: Scratch) -> Iterator[_Step]:
    for h, (sources, slabs) in enumerate(zip(plan.sources, plan.slabs, strict=True)):
        seen = tuple((m, source) for m, source in enumerate(sources) if source >= 0)
        for slab in slabs:
            yield _Step(h, seen, slab, plan, room)
