"""What an evaluation axis by axis needs for tensors of one size, dtype and device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gcnn.filters import Factors
from gcnn.kernels.separable.operators import Operator, axis_operators, blocks, support
from gcnn.kernels.separable.tree import Tree


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
class Slab:
    """A range of the first axis of the input, and what it contributes to.

    Attributes:
        start, end: in the input.
        first, last: in the output.
        forward, backward: operators of all axes, from the input and from the output.
    """

    start: int
    end: int
    first: int
    last: int
    forward: tuple[Operator, ...]
    backward: tuple[Operator, ...]


@dataclass(frozen=True)
class Plan:
    """The operators of every element.

    Attributes:
        size, output_size: of space.
        sources: for every element of the output, the elements it sees; -1 where there is none.
        before: the axes that are expanded before channels are mixed.
        behind: the axes that are contracted behind.
        slabs: for every element of the output.
    """

    size: tuple[int, ...]
    output_size: tuple[int, ...]
    sources: tuple[tuple[int, ...], ...]
    before: Tree
    behind: Tree
    slabs: tuple[tuple[Slab, ...], ...]

    def mixing(self, weight: Tensor, degrees: Sequence[tuple[int, ...]]) -> Tensor:
        """The weights as matrices that mix channels between expanding and contracting.

        Args:
            weight: `(out, in, M, K)`.
            degrees: of the K functions.

        Returns:
            `(M, out of the mixing · out, into the mixing · in)`.
        """
        into, out_of = self.before.leaves(), self.behind.leaves()
        q = torch.tensor([out_of.index(_along(d, self.behind)) for d in degrees])
        p = torch.tensor([into.index(_along(d, self.before)) for d in degrees])
        out_channels, in_channels, relatives, _ = weight.shape
        empty = weight.new_zeros(len(out_of), len(into), relatives, out_channels, in_channels)
        index = (q.to(weight.device), p.to(weight.device))
        mixing = empty.index_put(index, weight.permute(3, 2, 0, 1))
        return mixing.permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2)


def _along(degrees: tuple[int, ...], tree: Tree) -> tuple[int, ...]:
    return tuple(degrees[axis] for axis in tree.axes)


def trees(degrees: Sequence[tuple[int, ...]], expanded: int) -> tuple[Tree, Tree]:
    """The trees before and behind the mixing, if the last `expanded` axes come before it."""
    dim = len(degrees[0])
    first = tuple(range(dim - expanded))
    last = tuple(range(dim - 1, dim - expanded - 1, -1))
    before, behind = (
        Tree(axes, tuple(sorted({tuple(d[axis] for axis in axes) for d in degrees})))
        for axes in (last, first)
    )
    return before, behind


def make_plan(
    factors: Factors,
    window: Window,
    sources: tuple[tuple[int, ...], ...],
    outputs: Sequence[int],
    size: tuple[int, ...],
    expanded: int,
    thickness: int,
    like: Tensor,
) -> Plan:
    """The plan for inputs of this size.

    Args:
        factors: of the basis.
        window: how they slide.
        sources: what every computed element sees.
        outputs: which elements are computed.
        size: of the input.
        expanded: how many of the last axes are expanded before channels are mixed.
        thickness: of a slab of the first axis of the input.
        like: a tensor of the wanted dtype and device.
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
    before, behind = trees(factors.degrees, expanded)
    slabs = [_slabs([a[h] for a in along], thickness, like) for h in range(len(outputs))]
    output_size = tuple(a.shape[-2] for a in along)
    return Plan(size, output_size, sources, before, behind, tuple(slabs))


def _slabs(along: list[Tensor], thickness: int, like: Tensor) -> tuple[Slab, ...]:
    """The slabs of one element, from its matrices `(n, output size, size)` for every axis."""
    others = [(_operator(m, like), _operator(m.mT, like)) for m in along[1:]]
    first_axis, size = along[0], along[0].shape[-1]
    slabs = []
    for start in range(0, size, thickness):
        end = min(start + thickness, size)
        first, last = support(first_axis[:, :, start:end].mT)
        part = first_axis[:, first:last, start:end]
        forward = (_operator(part, like), *(there for there, _ in others))
        backward = (_operator(part.mT, like), *(back for _, back in others))
        slabs.append(Slab(start, end, first, last, forward, backward))
    return tuple(slabs)


def _operator(matrices: Tensor, like: Tensor) -> Operator:
    return Operator(matrices.to(like), blocks(matrices))
