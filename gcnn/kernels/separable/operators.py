"""Filters of one coordinate as matrices, and tensors multiplied by them along an axis."""

from __future__ import annotations

import torch
from torch import Tensor

from gcnn.geometry import along_axis

# Rows of a banded matrix that are multiplied at once: few zeros, yet a product worth starting.
BLOCK = 32


def axis_operators(
    taps: Tensor, size: int, stride: int, padding: int, dilation: int, padding_mode: str
) -> Tensor:
    """The matrices that correlate one axis with filters of one coordinate.

    Args:
        taps: `(..., kernel_size)`.
        size: of the axis, in pixels.
        stride, padding, dilation, padding_mode: as in `torch.nn.Conv1d`.

    Returns:
        `(..., size of the output, size)`.
    """
    kernel_size = taps.shape[-1]
    outputs = (size + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1
    rows = torch.arange(outputs)[:, None].expand(-1, kernel_size)
    columns = rows * stride - padding + dilation * torch.arange(kernel_size)
    places, inside = _pixels(columns, size, padding_mode)
    matrices = taps.new_zeros(*taps.shape[:-1], outputs * size)
    values = (taps[..., None, :] * inside).flatten(-2)
    index = (rows * size + places).flatten().expand(values.shape)
    filled = matrices.scatter_add_(-1, index, values)
    return torch.unflatten(filled, -1, (outputs, size))


def _pixels(columns: Tensor, size: int, padding_mode: str) -> tuple[Tensor, Tensor]:
    """The pixels that stand in for places beyond the ends, and which places have one."""
    inside = torch.ones_like(columns, dtype=torch.bool)
    if padding_mode == "circular":
        return columns.remainder(size), inside
    if padding_mode == "reflect":
        return (size - 1 - (columns.abs() - (size - 1)).abs()), inside
    if padding_mode == "zeros":
        inside = (columns >= 0) & (columns < size)
    return columns.clamp(0, size - 1), inside


def support(matrices: Tensor) -> tuple[int, int]:
    """The range of columns outside which all matrices `(n, rows, columns)` are zero."""
    used = (matrices != 0).flatten(0, -2).any(dim=0).nonzero()
    return (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 1)


def blocks(matrices: Tensor) -> list[tuple[int, int, int, int]]:
    """First and last row, first and last column of the blocks of a band `(n, rows, columns)`."""
    rows = matrices.shape[-2]
    step = rows if rows < 2 * BLOCK else BLOCK
    starts = range(0, rows, step)
    return [
        (start, end, *support(matrices[:, start:end]))
        for start, end in ((start, min(start + step, rows)) for start in starts)
    ]


class Operator:
    """The n matrices of one axis and one element, with the blocks of their band.

    Args:
        matrices: `(n, rows, columns)`.
        banded: their blocks, as `blocks` gives them.
    """

    def __init__(self, matrices: Tensor, banded: list[tuple[int, int, int, int]]) -> None:
        self.matrices = matrices
        self.banded = banded

    def expand(self, x: Tensor, axis: int, count: int) -> list[Tensor]:
        """The products along an axis with each of the first `count` matrices."""
        if len(self.banded) == 1:
            return _expand(self.matrices[:count], x, axis)
        parts = [
            _expand(self.matrices[:count, r0:r1, c0:c1], x.narrow(axis, c0, c1 - c0), axis)
            for r0, r1, c0, c1 in self.banded
        ]
        return [torch.cat(same, dim=axis) for same in zip(*parts, strict=True)]

    def contract(self, maps: list[Tensor], axis: int) -> Tensor:
        """The sum of maps, each multiplied along an axis by its own matrix."""
        if len(self.banded) == 1:
            return _contract(self.matrices[: len(maps)], maps, axis)
        parts = [
            _contract(
                self.matrices[: len(maps), r0:r1, c0:c1],
                [m.narrow(axis, c0, c1 - c0) for m in maps],
                axis,
            )
            for r0, r1, c0, c1 in self.banded
        ]
        return torch.cat(parts, dim=axis)


def _expand(matrices: Tensor, x: Tensor, axis: int) -> list[Tensor]:
    return list(along_axis(x, axis, matrices.flatten(0, 1)).split(matrices.shape[1], dim=axis))


def _contract(matrices: Tensor, maps: list[Tensor], axis: int) -> Tensor:
    return along_axis(torch.cat(maps, dim=axis), axis, matrices.transpose(0, 1).flatten(1))
