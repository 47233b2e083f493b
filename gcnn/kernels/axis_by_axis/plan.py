"""What an evaluation axis by axis needs for tensors of one size, dtype and device."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gcnn.filters import Factors
from gcnn.kernels.axis_by_axis.operators import Operator, axis_operators, support
from gcnn.kernels.axis_by_axis.tree import Tree


@dataclass(frozen=True)
class Window:
    """How filters slide: as in `torch.nn.Conv2d`, one number for all axes."""

    stride: int
    padding: int
    dilation: int
    padding_mode: str

    def output_size(self, size: int, kernel_size: int) -> int:
        """Pixels of the output along an axis."""
        return (size + 2 * self.padding - self.dilation * (kernel_size - 1) - 1) // self.stride + 1


@dataclass(frozen=True)
class Tile:
    """A part of the space where channels are mixed, what it takes and what it contributes to.

    Attributes:
        input, output: ranges of the input and of the output, for all axes.
        size: of all axes where channels are mixed.
        forward, backward: operators of all axes, from the input and from the output.
    """

    input: tuple[slice, ...]
    output: tuple[slice, ...]
    size: tuple[int, ...]
    forward: tuple[Operator, ...]
    backward: tuple[Operator, ...]


@dataclass(frozen=True)
class Plan:
    """The operators of every element.

    Attributes:
        size, output_size: of space.
        sources: for every element of the output, the elements it sees; -1 where there is none.
        before: the axes that are expanded before channels are mixed.
        after: the axes that are contracted after.
        tiles: for every element of the output.
        order: how many elements the input has.
        samples: of the batch that are computed at once.
        gain: of the functions, if no axis is expanded.
        dtype: in which all is computed.
    """

    size: tuple[int, ...]
    output_size: tuple[int, ...]
    sources: tuple[tuple[int, ...], ...]
    before: Tree
    after: Tree
    tiles: tuple[tuple[Tile, ...], ...]
    order: int
    samples: int
    gain: float
    dtype: torch.dtype

    def mixing(self, weight: Tensor, degrees: Sequence[tuple[int, ...]]) -> Tensor:
        """The weights as matrices that mix channels between expanding and contracting.

        Args:
            weight: `(out, in, M, K)`.
            degrees: of the K functions.

        Returns:
            `(M, out of the mixing · out, into the mixing · in)`.
        """
        into, out_of = self.before.leaves(), self.after.leaves()
        q = torch.tensor([out_of.index(_along(d, self.after)) for d in degrees])
        p = torch.tensor([into.index(_along(d, self.before)) for d in degrees])
        out_channels, in_channels, relatives, _ = weight.shape
        weight = weight.to(self.dtype) * self.gain
        empty = weight.new_zeros(len(out_of), len(into), relatives, out_channels, in_channels)
        index = (q.to(weight.device), p.to(weight.device))
        mixing = empty.index_put(index, weight.permute(3, 2, 0, 1))
        return mixing.permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2)


def _along(degrees: tuple[int, ...], tree: Tree) -> tuple[int, ...]:
    return tuple(degrees[axis] for axis in tree.axes)


def trees(degrees: Sequence[tuple[int, ...]], expanded: int) -> tuple[Tree, Tree]:
    """The trees before and after the mixing, if the first `expanded` axes come before it."""
    dim = len(degrees[0])
    return _tree(degrees, range(expanded)), _tree(degrees, range(dim - 1, expanded - 1, -1))


def no_trees(degrees: Sequence[tuple[int, ...]]) -> tuple[Tree, Tree]:
    """Those of a single pixel."""
    return _tree(degrees, ()), _tree(degrees, ())


def _tree(degrees: Sequence[tuple[int, ...]], axes: Sequence[int]) -> Tree:
    return Tree(tuple(axes), tuple(sorted({tuple(d[axis] for axis in axes) for d in degrees})))


def make_plan(
    factors: Factors,
    window: Window,
    sources: tuple[tuple[int, ...], ...],
    outputs: Sequence[int],
    size: tuple[int, ...],
    before: Tree,
    after: Tree,
    tile: tuple[int, ...],
    samples: int,
    like: Tensor,
) -> Plan:
    """The plan for inputs of this size.

    Args:
        factors: of the basis.
        window: how they slide.
        sources: what every computed element sees.
        outputs: which elements are computed.
        size: of the input.
        before, after: the axes that are expanded before channels are mixed, and contracted after.
        tile: the size of a tile.
        samples: of the batch that are computed at once.
        like: a tensor of the dtype to compute in, and of the device.
    """
    along = [
        axis_operators(
            factors.tables[axis, list(outputs)],
            length,
            window.stride,
            window.padding,
            window.dilation,
            window.padding_mode,
        )
        for axis, length in enumerate(size)
    ]
    tiles = [_tiles([a[h] for a in along], before, tile, like) for h in range(len(outputs))]
    return Plan(
        size, tuple(a.shape[-2] for a in along), sources, before, after, tuple(tiles),
        order=factors.tables.shape[1],
        samples=samples,
        gain=1.0 if after.axes else float(factors.tables[:, outputs[0], 0, 0].prod()),
        dtype=like.dtype,
    )  # fmt: skip


def _tiles(
    along: list[Tensor], before: Tree, tile: tuple[int, ...], like: Tensor
) -> tuple[Tile, ...]:
    """The tiles of one element, from its matrices `(n, output size, size)` for every axis."""
    parts = [
        _parts(matrices, axis, axis == len(along) - 1, axis in before.axes, tile[axis], like)
        for axis, matrices in enumerate(along)
    ]
    return tuple(Tile(*zip(*chosen, strict=True)) for chosen in itertools.product(*parts))


def _parts(
    matrices: Tensor, axis: int, last: bool, before: bool, length: int, like: Tensor
) -> list[tuple[slice, slice, int, Operator, Operator]]:
    """One axis of all tiles: ranges of input and output, size between, operators to and fro.

    Before the mixing an axis has the size of the output, and a part of it takes what its rows of
    the matrices reach. After it, it has the size of the input, and contributes to what its
    columns reach.
    """
    mixed = matrices.shape[-2 if before else -1]
    parts = []
    for start in range(0, mixed, length):
        here = slice(start, min(start + length, mixed))
        if before:
            there = slice(*support(matrices[:, here]))
            part, ranges = matrices[:, here, there], (there, here)
        else:
            there = slice(*support(matrices[:, :, here].mT))
            part, ranges = matrices[:, there, here], (here, there)
        to, fro = (Operator(m.to(like), axis, last) for m in (part, part.mT))
        parts.append((*ranges, here.stop - here.start, to, fro))
    return parts
