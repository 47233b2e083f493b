"""What an evaluation costs, in multiplications: dense filters, or axis by axis."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gcnn.kernels.separable.operators import BLOCK
from gcnn.kernels.separable.tree import Tree

# Measured on CPUs, forward and backward: a product along an axis takes 1.15 times as long for
# each multiplication as a dense convolution, and starting one as long as so many of them.
_PRODUCT = 1.15
_START = 70_000


@dataclass(frozen=True)
class Problem:
    """One convolution.

    Attributes:
        batch, in_channels, out_channels: of the tensors.
        elements, relatives: how many are computed, and how many each of them sees.
        size, output_size: of space.
        stride, extent: of the window.
    """

    batch: int
    in_channels: int
    out_channels: int
    elements: int
    relatives: int
    size: tuple[int, ...]
    output_size: tuple[int, ...]
    stride: int
    extent: int

    @property
    def columns(self) -> int:
        """Channels that one element sees."""
        return self.in_channels * self.relatives

    def dense(self, kernel_size: int) -> float:
        """Multiplications with dense filters, each element seeing only its neighbours."""
        outputs = self.batch * self.elements * math.prod(self.output_size)
        taps = float(kernel_size ** len(self.size))
        return outputs * self.out_channels * self.columns * taps

    def by_axes(self, before: Tree, behind: Tree, thickness: int) -> float:
        """What takes as long axis by axis, in slabs of the first axis."""
        sizes = list(self.size)
        work = _expansion(before, self.columns, sizes, self)
        places = math.prod(sizes)
        leaves = len(before.leaves()), len(behind.leaves())
        work += places * leaves[0] * self.columns * leaves[1] * self.out_channels
        # Contracting costs what expanding in the other direction does.
        work += _contraction(behind, self.out_channels, self)
        products = _nodes(before) * self.relatives + _nodes(behind) + 1
        slabs = math.ceil(self.size[0] / thickness)
        starts = self.elements * slabs * products * _START
        return self.batch * self.elements * work * _PRODUCT + starts

    def width(self, axis: int) -> int:
        """Columns of a row of an operator that are multiplied, zeros among them."""
        size = self.size[axis]
        if self.output_size[axis] < 2 * BLOCK:
            return size
        return min(size, BLOCK * self.stride + self.extent)


def _expansion(tree: Tree, channels: int, sizes: list[int], problem: Problem) -> float:
    """Multiplications of expanding; `sizes` become those behind it."""
    work = 0.0
    for level, axis in enumerate(tree.axes):
        sizes[axis] = problem.output_size[axis]
        work += channels * _count(tree, level + 1) * math.prod(sizes) * problem.width(axis)
    return work


def _contraction(tree: Tree, channels: int, problem: Problem) -> float:
    work = 0.0
    sizes = list(problem.output_size)
    for level, axis in enumerate(tree.axes):
        width = problem.width(axis)
        work += channels * _count(tree, level + 1) * math.prod(sizes) * width
        sizes[axis] = problem.size[axis]
    return work


def _count(tree: Tree, level: int) -> int:
    return len({leaf[:level] for leaf in tree.leaves()})


def _nodes(tree: Tree) -> int:
    return sum(_count(tree, level) for level in range(len(tree.axes)))


def most_maps(before: Tree, behind: Tree, columns: int, out_channels: int) -> int:
    """Maps of the size of space that are in memory at once when channels are mixed."""
    return len(before.leaves()) * columns + len(behind.leaves()) * out_channels
