"""Products of 1D functions as a tree: what they share is computed once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from gcnn.kernels.axis_by_axis.operators import Operator
from gcnn.kernels.axis_by_axis.scratch import Scratch

Degrees = tuple[int, ...]


@dataclass(frozen=True)
class Tree:
    """Degrees along some axes, one axis after the other.

    A node at level l is the degrees along the first l axes.

    Args:
        axes: spatial axes, in the order in which they are expanded.
        leaves: the degrees along these axes, sorted: with each, those of lower degree are there.
    """

    axes: tuple[int, ...]
    leaves: tuple[Degrees, ...]

    @classmethod
    def along(cls, axes: Sequence[int], functions: Sequence[Degrees]) -> Tree:
        """The tree of functions with these degrees along all axes of space."""
        leaves = {tuple(degrees[axis] for axis in axes) for degrees in functions}
        return cls(tuple(axes), tuple(sorted(leaves)))

    def leaf(self, degrees: Degrees) -> int:
        """The index of the leaf of a function."""
        return self.leaves.index(tuple(degrees[axis] for axis in self.axes))

    @cached_property
    def nodes(self) -> list[Degrees]:
        """All but the root, each before its children, and leaves in their order."""
        return sorted({leaf[:level] for leaf in self.leaves for level in range(1, len(leaf) + 1)})

    @cached_property
    def _nodes_last(self) -> list[Degrees]:
        """The same, each after its children."""
        return sorted(self.nodes, key=lambda node: (*node, math.inf))

    def count(self, level: int) -> int:
        """How many nodes a level has."""
        return sum(len(node) == level for node in self.nodes)

    def expand(
        self, x: Tensor, operators: Sequence[Operator], leaves: Iterator[Tensor], room: Scratch
    ) -> None:
        """Write all leaves of x `(maps, *space)` into the tensors that `leaves` yields.

        Args:
            operators: one for every axis of space.
            room: for the nodes between.
        """
        if not self.axes:
            next(leaves).copy_(x)
        path = [x]
        for *parent, degree in self.nodes:
            level = len(parent)
            operator, source = operators[self.axes[level]], path[level]
            last = level + 1 == len(self.axes)
            target = next(leaves) if last else room.take(level, operator.shape(source))
            operator.multiply(degree, source, target)
            path[level + 1 :] = [target]

    def contract(
        self,
        leaves: Iterator[Tensor],
        operators: Sequence[Operator],
        room: Scratch,
        total: Tensor | None = None,
    ) -> Tensor:
        """The adjoint of `expand`, with operators that lead the other way; added to a total."""
        if not self.axes:
            return next(leaves)
        sums = {} if total is None else {0: total}
        for *parent, degree in self._nodes_last:
            level = len(parent)
            operator = operators[self.axes[level]]
            source = next(leaves) if level + 1 == len(self.axes) else sums.pop(level + 1)
            add = level in sums
            if not add:
                sums[level] = room.take(level, operator.shape(source))
            operator.multiply(degree, source, sums[level], add)
        return sums[0]
