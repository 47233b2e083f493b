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
from typing import Any

import torch
from torch import Tensor

from gcnn.kernels.axis_by_axis.operators import Operator
from gcnn.kernels.axis_by_axis.plan import Plan, Tile
from gcnn.kernels.axis_by_axis.scratch import Scratch
from gcnn.kernels.axis_by_axis.tree import Tree


def partials(
    x: Tensor | None,
    y: Tensor | None,
    mixing: Tensor,
    bias: Tensor | None,
    plan: Plan,
    wanted: tuple[bool, bool, bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """The partial derivatives of `⟨y, correlate(x, mixing)⟩` that are wanted, None for the others.

    Args:
        x: `(batch, in, |H|, *space)`, unless only the derivative by x is wanted.
        y: `(batch, out, |H'|, *space of the output)`, unless only that by y is.
        mixing: `(M, leaves after · out, leaves before · in)`.
        bias: to add to the features, one number a field.
        plan: for this size.
        wanted: by x, by y, and by the weights.

    Returns:
        tensors as x, y and mixing, in the dtype of the plan.
    """
    order = plan.order if x is None else x.shape[2]
    # What is not wanted is not computed, and its partners need not be expanded.
    x, y = x if wanted[1] or wanted[2] else None, y if wanted[0] or wanted[2] else None
    by_x = _input(y, mixing, bias, plan, order) if wanted[0] and y is not None else None
    by_y = _output(x, mixing, bias, plan) if wanted[1] and x is not None else None
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


def _output(x: Tensor, mixing: Tensor, bias: Tensor | None, plan: Plan) -> Tensor:
    channels = mixing.shape[1] // len(plan.after.leaves())
    return _start((len(x), channels, len(plan.sources), *plan.output_size), mixing, bias)


def _input(y: Tensor, mixing: Tensor, bias: Tensor | None, plan: Plan, order: int) -> Tensor:
    channels = mixing.shape[2] // len(plan.before.leaves())
    return _start((len(y), channels, order, *plan.size), mixing, bias)


def _start(shape: tuple[int, ...], like: Tensor, bias: Tensor | None) -> Tensor:
    if bias is None:
        return like.new_zeros(shape)
    return like.new_empty(shape).copy_(bias.view(-1, *(1,) * (len(shape) - 2)))


@dataclass(frozen=True)
class _Step:
    """One tile of one element of the output.

    Attributes:
        h: the element.
        seen: the elements it sees, as relative ones and as those of the input.
        tile, plan: where.
        room: for what lies between.
    """

    h: int
    seen: tuple[tuple[int, int], ...]
    tile: Tile
    plan: Plan
    room: Scratch

    def expanded(self, x: Tensor) -> Tensor:
        """All leaves of the elements that are seen, `(elements · leaves · in, batch · places)`."""
        parts = [_range(x, source, self.tile.input) for _, source in self.seen]
        return self._leaves("before", parts, self.plan.before, self.tile.forward)

    def expanded_back(self, y: Tensor) -> Tensor:
        """All leaves of the element of the output, `(leaves · out, batch · places)`."""
        parts = [_range(y, self.h, self.tile.output)]
        return self._leaves("after", parts, self.plan.after, self.tile.backward)

    def add_correlated(self, y: Tensor, expanded: Tensor, mixing: Tensor) -> None:
        matrix = torch.cat([mixing[m] for m, _ in self.seen], dim=1)
        target = _range(y, self.h, self.tile.output)
        self._contract(matrix, expanded, self.plan.after, self.tile.forward, target)

    def add_transposed(self, x: Tensor, back: Tensor, mixing: Tensor) -> None:
        for m, source in self.seen:
            target = _range(x, source, self.tile.input)
            self._contract(mixing[m].T, back, self.plan.before, self.tile.backward, target)

    def add_gradient(self, gradient: Tensor, expanded: Tensor, back: Tensor) -> None:
        product = back @ expanded.T
        columns = product.split(gradient.shape[2], dim=1)
        for (m, _), part in zip(self.seen, columns, strict=True):
            gradient[m] += part

    def _leaves(
        self, name: str, parts: Sequence[Tensor], tree: Tree, operators: Sequence[Operator]
    ) -> Tensor:
        channels, batch = parts[0].shape[:2]
        if len(parts) == 1 and not tree.axes and self._ready(parts[0], tree):
            return parts[0].view(channels, math.prod(self.tile.size))
        count = len(parts) * len(tree.leaves())
        leaves = self.room.take(name, (count, channels * batch, *self.tile.size))
        room = iter(leaves)
        for part in parts:
            if not self._ready(part, tree):
                part = self.room.take("whole", tuple(part.shape)).copy_(part)
            tree.expand(part.flatten(0, 1), operators, room, self.room)
        return leaves.view(count * channels, batch * math.prod(self.tile.size))

    def _contract(
        self,
        matrix: Tensor,
        expanded: Tensor,
        tree: Tree,
        operators: Sequence[Operator],
        target: Tensor,
    ) -> None:
        """Mix channels and contract, and add that to the target `(channels, batch, *space)`."""
        if not tree.axes and self._ready(target, tree):
            target.view(len(matrix), math.prod(self.tile.size)).addmm_(matrix, expanded)
            return
        leaves, (channels, batch) = len(tree.leaves()), target.shape[:2]
        mixed = self.room.take("mixed", (len(matrix), expanded.shape[1]))
        torch.mm(matrix, expanded, out=mixed)
        maps = iter(mixed.view(leaves, channels * batch, *self.tile.size))
        if self._ready(target, tree):
            tree.contract(maps, operators, self.room, target.flatten(0, 1))
        else:
            target.add_(tree.contract(maps, operators, self.room).view(target.shape))

    def _ready(self, part: Tensor, tree: Tree) -> bool:
        """Whether the first product of a tree can read or write a part where it lies.

        That is so along the first axis of space, in a product for each channel, whose matrix has a
        stride; and if there is no axis, for a part without gaps.
        """
        axis = tree.axes[0] if tree.axes else -1
        return (
            axis <= 0
            and part.shape[1] == 1
            and part.dtype == self.plan.dtype
            and (part[0, 0, 0] if axis == 0 else part[0, 0]).is_contiguous()
        )


def _range(x: Tensor, element: int, places: tuple[slice, ...]) -> Tensor:
    """A part of an element, `(channels, batch, *space)`."""
    inside: Any = (..., *places)
    return x[:, :, element][inside].transpose(0, 1)


def _steps(plan: Plan, room: Scratch) -> Iterator[_Step]:
    for h, (sources, tiles) in enumerate(zip(plan.sources, plan.tiles, strict=True)):
        seen = tuple((m, source) for m, source in enumerate(sources) if source >= 0)
        for tile in tiles:
            yield _Step(h, seen, tile, plan, room)
