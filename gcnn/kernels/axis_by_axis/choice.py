"""The ways to evaluate a convolution, what each takes, and the cheapest."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from gcnn.filters import Factors
from gcnn.kernels.axis_by_axis.tree import Tree
from gcnn.kernels.window import Window

# Measured on CPUs, forward and backward: a product along an axis takes 1.7 times as long for each
# multiplication as a dense convolution of many channels, and starting one as long as so many.
_PRODUCT = 1.7
_START = 100_000
# Dense convolutions multiply so many output channels at once, zeros among them.
_LANES = 16
# The devices with a cache that maps should stay in; "meta" counts what a processor does.
CACHED = ("cpu", "meta")
# Numbers in the maps of a tile: few enough to stay in a processor's cache.
_NUMBERS = 2**21
# Long tiles multiply many zeros of a band, short ones make many small products.
_THICK, _THIN, _LAST = 32, 12, 64
# Features of so many pixels are read and written one sample at a time.
_MANY = 2**12


@dataclass(frozen=True, eq=False)
class Bank:
    """Products of 1D functions, moved by every element of the output.

    Attributes:
        factors: of the functions, for these elements.
        sources: for every one of them, the elements of the input it sees; -1 where there is none.
        order: how many elements the input has.
    """

    factors: Factors
    sources: tuple[tuple[int, ...], ...]
    order: int


@dataclass(frozen=True)
class Way:
    """Where between the axes channels are mixed, and how much at once.

    Attributes:
        trees: of the axes that are expanded before, and of those that are contracted after.
        size: of the space where channels are mixed: of the output along the axes before.
        tile: the size of a part of it.
        samples: of the batch that are computed at once.
    """

    trees: tuple[Tree, Tree]
    size: tuple[int, ...]
    tile: tuple[int, ...]
    samples: int


@dataclass(frozen=True)
class Problem:
    """One convolution.

    Attributes:
        bank: what the filters are made of.
        window: how they slide.
        batch, in_channels, out_channels: of the tensors.
        size: of space, on the side of the input.
        dtype, device: of the tensors that are computed with.
    """

    bank: Bank
    window: Window
    batch: int
    in_channels: int
    out_channels: int
    size: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device

    @property
    def output_size(self) -> tuple[int, ...]:
        return tuple(self.window.output_size(length) for length in self.size)

    @property
    def channels(self) -> tuple[int, int]:
        """Channels that one element of the output sees, and those that it has."""
        return self.in_channels * len(self.bank.sources[0]), self.out_channels

    def cheapest(self) -> Way | None:
        """The cheapest way; None if that is with dense filters."""
        dim = len(self.size)
        if self.device.type in CACHED and self._single_pixel():
            return self.way(range(0), range(0))
        ways = (self.way(range(n), range(dim - 1, n - 1, -1)) for n in range(dim))
        best = min(ways, key=self.by_axes)
        return None if self.dense() < self.by_axes(best) else best

    def _single_pixel(self) -> bool:
        """Whether only channels are mixed, alike for all elements."""
        tables = self.bank.factors.tables
        alone = self.window.size == self.window.stride == 1 and not self.window.padding
        return alone and torch.equal(tables, tables[:, :1].expand_as(tables))

    def way(self, before: range, after: range) -> Way:
        """With these axes before the mixing and after it, in parts that fit into a cache."""
        degrees = self.bank.factors.degrees
        trees = Tree.along(before, degrees), Tree.along(after, degrees)
        output = self.output_size
        size = tuple(output[j] if j in before else length for j, length in enumerate(self.size))
        if self.device.type not in CACHED:
            return Way(trees, size, size, max(1, self.batch))
        # In memory at once when channels are mixed, of the size of a tile.
        maps = sum(len(t.leaves) * c for t, c in zip(trees, self.channels, strict=True))
        if not before and not after:
            # Without gaps: features of many pixels are read and written where they lie.
            tile = [_part(size[0], _NUMBERS / (maps * math.prod(size[1:]))), *size[1:]]
            most = 1 if math.prod(tile) > _MANY else self.batch
        else:
            most = self.batch
            tile = [*(_part(n, _THICK) for n in size[:-1]), _part(size[-1], _LAST)]
            for axis in range(len(size) - 1):
                excess = maps * math.prod(tile) / _NUMBERS
                if excess > 1:
                    tile[axis] = max(_part(size[axis], tile[axis] / excess), min(tile[axis], _THIN))
        samples = max(1, min(most, _NUMBERS // (maps * math.prod(tile))))
        return Way(trees, size, tuple(tile), samples)

    def dense(self) -> float:
        """What it takes with dense filters, each element seeing only its neighbours."""
        outputs = self.batch * len(self.bank.sources) * math.prod(self.output_size)
        taps = float(self.window.size ** len(self.size))
        return outputs * max(self.out_channels, _LANES) * self.channels[0] * taps

    def by_axes(self, way: Way) -> float:
        """What it takes axis by axis."""
        before, after = (1 + len(tree.nodes) for tree in way.trees)
        pairs = zip(way.size, way.tile, strict=True)
        tiles = math.prod(math.ceil(length / part) for length, part in pairs)
        steps = len(self.bank.sources) * tiles * math.ceil(self.batch / way.samples)
        starts = steps * (before * len(self.bank.sources[0]) + after)
        return self.multiplications(way) * _PRODUCT + starts * _START

    def multiplications(self, way: Way) -> int:
        """Multiplications axis by axis."""
        stride, extent = self.window.stride, self.window.extent
        # What the windows of a part of the output reach, and what reaches a part of the input.
        reached = [(n - 1) * stride + extent for n in way.tile]
        reaching = [(n + extent - 2) // stride + 1 for n in way.tile]
        sides = (self.size, reached), (self.output_size, reaching)
        work = math.prod(way.size)
        for tree, channels in zip(way.trees, self.channels, strict=True):
            work *= len(tree.leaves) * channels
        for tree, channels, (size, widths) in zip(way.trees, self.channels, sides, strict=True):
            sizes = list(size)
            for level, axis in enumerate(tree.axes, start=1):
                sizes[axis] = way.size[axis]
                width = min(size[axis], widths[axis])
                work += channels * tree.count(level) * math.prod(sizes) * width
        return self.batch * len(self.bank.sources) * work


def _part(length: int, longest: float) -> int:
    """The length of as few equal parts as are no longer than that, which is at least 1."""
    return math.ceil(length / math.ceil(length / max(1, longest)))
