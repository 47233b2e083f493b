"""What an evaluation costs, in multiplications: dense filters, or axis by axis."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gcnn.kernels.separable.operators import BLOCK
from gcnn.kernels.separable.plan import slab_axis
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

    def by_axes(self, before: Tree, after: Tree, thickness: int, samples: int) -> float:
        """What takes as long axis by axis, in slabs of this thickness and so many samples."""
        work = float(self.multiplications(before, after, thickness))
        products = (_nodes(before) + 1) * self.relatives + _nodes(after) + 1
        slabs = math.ceil(self.mixed_size(before)[slab_axis(len(self.size))] / thickness)
        slabs *= math.ceil(self.batch / samples)
        return work * _PRODUCT + self.elements * slabs * products * _START

    def multiplications(self, before: Tree, after: Tree, thickness: int) -> int:
        """Multiplications axis by axis."""
        sizes = list(self.size)
        work = 0
        for level, axis in enumerate(before.axes, start=1):
            others = math.prod(sizes) // sizes[axis]
            work += (
                self.columns * before.count(level) * others * self._area(axis, before, thickness)
            )
            sizes[axis] = self.output_size[axis]
        leaves = before.count(len(before.axes)), after.count(len(after.axes))
        work += math.prod(sizes) * leaves[0] * self.columns * leaves[1] * self.out_channels
        for level, axis in reversed(list(enumerate(after.axes, start=1))):
            others = math.prod(sizes) // sizes[axis]
            area = self._area(axis, before, thickness)
            work += self.out_channels * after.count(level) * others * area
            sizes[axis] = self.output_size[axis]
        return self.batch * self.elements * work

    def mixed_size(self, before: Tree) -> tuple[int, ...]:
        """The size where channels are mixed: that of the output along the axes before."""
        return tuple(
            self.output_size[axis] if axis in before.axes else length
            for axis, length in enumerate(self.size)
        )

    def _area(self, axis: int, before: Tree, thickness: int) -> int:
        """Entries of the matrix of an axis that are multiplied, zeros among them."""
        size, output_size = self.size[axis], self.output_size[axis]
        if axis == slab_axis(len(self.size)):
            if axis in before.axes:
                return output_size * min(size, (thickness - 1) * self.stride + self.extent)
            return size * min(output_size, (thickness + self.extent - 2) // self.stride + 1)
        if output_size < 2 * BLOCK:
            return output_size * size
        return output_size * min(size, (BLOCK - 1) * self.stride + self.extent)


def _nodes(tree: Tree) -> int:
    return sum(tree.count(level) for level in range(1, len(tree.axes) + 1))


def most_maps(before: Tree, after: Tree, columns: int, out_channels: int) -> int:
    """Maps of the size of space that are in memory at once when channels are mixed."""
    return len(before.leaves()) * columns + len(after.leaves()) * out_channels
