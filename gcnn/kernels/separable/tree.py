"""Products of 1D functions as a tree: what they share is computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from gcnn.kernels.separable.operators import Operator


@dataclass(frozen=True)
class Tree:
    """Degrees along some axes, one axis after the other.

    A node at level l is the degrees along the first l axes; its children are those of all degrees
    along the next axis, from 0 to the largest that any function has there.

    Args:
        axes: spatial axes, in the order in which they are expanded.
        functions: the degrees along these axes of every function.
    """

    axes: tuple[int, ...]
    functions: tuple[tuple[int, ...], ...]

    def children(self, node: tuple[int, ...]) -> int:
        """How many children a node has."""
        level = len(node)
        return 1 + max(f[level] for f in self.functions if f[:level] == node)

    def leaves(self, node: tuple[int, ...] = ()) -> list[tuple[int, ...]]:
        """The leaves below a node, in the order in which they are expanded."""
        if len(node) == len(self.axes):
            return [node]
        return [leaf for a in range(self.children(node)) for leaf in self.leaves((*node, a))]

    def expand(
        self, x: Tensor, operators: Sequence[Operator], node: tuple[int, ...] = ()
    ) -> list[Tensor]:
        """All leaves of x `(batch, channels, *space)`.

        Args:
            operators: one for every axis of space.
        """
        if len(node) == len(self.axes):
            return [x]
        axis = self.axes[len(node)]
        parts = operators[axis].expand(x, 2 + axis, self.children(node))
        return [
            leaf
            for degree, part in enumerate(parts)
            for leaf in self.expand(part, operators, (*node, degree))
        ]

    def contract(
        self, leaves: list[Tensor], operators: Sequence[Operator], node: tuple[int, ...] = ()
    ) -> Tensor:
        """The adjoint of `expand`, with operators that lead the other way; takes from `leaves`."""
        if len(node) == len(self.axes):
            return leaves.pop(0)
        axis = self.axes[len(node)]
        parts = [
            self.contract(leaves, operators, (*node, degree))
            for degree in range(self.children(node))
        ]
        return operators[axis].contract(parts, 2 + axis)
