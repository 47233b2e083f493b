"""What an evaluation costs, in multiplications: dense filters, or axis by axis."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gcnn.kernels.axis_by_axis.tree import Tree

# Measured on CPUs, forward and backward: a product along an axis takes 1.7 times as long for each
# multiplication as a dense convolution of many channels, and starting one as long as so many.
_PRODUCT = 1.7
_START = 100_000
# Dense convolutions multiply so many output channels at once, zeros among them.
_LANES = 16


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
        """What it takes with dense filters, each element seeing only its neighbours."""
        outputs = self.batch * self.elements * math.prod(self.output_size)
        taps = float(kernel_size ** len(self.size))
        return outputs * max(self.out_channels, _LANES) * self.columns * taps

    def by_axes(self, before: Tree, after: Tree, tile: tuple[int, ...], samples: int) -> float:
        """What it takes axis by axis, with such tiles and so many samples at once."""
        work = float(self.multiplications(before, after, tile))
        products = (_nodes(before) + 1) * self.relatives + _nodes(after) + 1
        pairs = zip(self.mixed_size(before), tile, strict=True)
        tiles = math.prod(math.ceil(length / part) for length, part in pairs)
        tiles *= math.ceil(self.batch / samples)
        return work * _PRODUCT + self.elements * tiles * products * _START

    def multiplications(self, before: Tree, after: Tree, tile: tuple[int, ...]) -> int:
        """Multiplications axis by axis."""
        sizes = list(self.size)
        work = 0
        for level, axis in enumerate(before.axes, start=1):
            others = math.prod(sizes) // sizes[axis]
            # A part of the output takes what its windows reach.
            width = min(self.size[axis], (tile[axis] - 1) * self.stride + self.extent)
            area = self.output_size[axis] * width
            work += self.columns * before.count(level) * others * area
            sizes[axis] = self.output_size[axis]
        leaves = before.count(len(before.axes)), after.count(len(after.axes))
        work += math.prod(sizes) * leaves[0] * self.columns * leaves[1] * self.out_channels
        for level, axis in reversed(list(enumerate(after.axes, start=1))):
            others = math.prod(sizes) // sizes[axis]
            # A part of the input contributes to the windows that reach it.
            width = min(self.output_size[axis], (tile[axis] + self.extent - 2) // self.stride + 1)
            area = self.size[axis] * width
            work += self.out_channels * after.count(level) * others * area
            sizes[axis] = self.output_size[axis]
        return self.batch * self.elements * work

    def mixed_size(self, before: Tree) -> tuple[int, ...]:
        """The size where channels are mixed: that of the output along the axes before."""
        return tuple(
            self.output_size[axis] if axis in before.axes else length
            for axis, length in enumerate(self.size)
        )


def _nodes(tree: Tree) -> int:
    return sum(tree.count(level) for level in range(1, len(tree.axes) + 1))


def most_maps(before: Tree, after: Tree, columns: int, out_channels: int) -> int:
    """Maps of the size of space that are in memory at once when channels are mixed."""
    return len(before.leaves()) * columns + len(after.leaves()) * out_channels
