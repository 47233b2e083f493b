"""Products of 1D functions as a tree: what they share is computed once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from gcnn.kernels.axis_by_axis.operators import Operator
from gcnn.kernels.axis_by_axis.scratch import Scratch

Degrees = tuple[int, ...]


@dataclass(frozen=True)
class Tree:
    """Degrees along some axes, one axis after the other.

    A node at level l is the degrees along the first l axes; its children are those of all degrees
    along the next axis, from 0 to the largest that any function has there.

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

    def count(self, level: int) -> int:
        """How many nodes a level has; level 0 is the root."""
        return len({leaf[:level] for leaf in self.leaves})

    def _children(self, node: Degrees) -> range:
        """The degrees of the children of a node."""
        level = len(node)
        return range(1 + max(leaf[level] for leaf in self.leaves if leaf[:level] == node))

    def expand(
        self,
        x: Tensor,
        operators: Sequence[Operator],
        leaves: Iterator[Tensor],
        room: Scratch,
        node: Degrees = (),
    ) -> None:
        """Write all leaves of x `(maps, *space)` into the tensors that `leaves` yields.

        Args:
            operators: one for every axis of space.
            room: for the nodes between.
        """
        level = len(node)
        if level == len(self.axes):
            next(leaves).copy_(x)
            return
        operator = operators[self.axes[level]]
        for degree in self._children(node):
            if level + 1 == len(self.axes):
                operator.multiply(degree, x, next(leaves))
            else:
                child = room.take(level, operator.shape(x))
                operator.multiply(degree, x, child)
                self.expand(child, operators, leaves, room, (*node, degree))

    def contract(
        self,
        leaves: Iterator[Tensor],
        operators: Sequence[Operator],
        room: Scratch,
        total: Tensor | None = None,
        node: Degrees = (),
    ) -> Tensor:
        """The adjoint of `expand`, with operators that lead the other way; added to a total."""
        level = len(node)
        if level == len(self.axes):
            return next(leaves)
        operator = operators[self.axes[level]]
        for degree in self._children(node):
            child = self.contract(leaves, operators, room, None, (*node, degree))
            out = room.take(level, operator.shape(child)) if total is None else total
            operator.multiply(degree, child, out, add=degree > 0 or total is not None)
        return out
