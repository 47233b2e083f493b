"""Filters of one coordinate as matrices, and tensors multiplied by them along an axis."""

from __future__ import annotations

import math

import torch
from torch import Tensor


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


class Operator:
    """The n matrices of one axis and one element.

    Args:
        matrices: `(n, rows, columns)`.
        axis: of space, which they multiply.
        last: whether that is the last axis.
    """

    def __init__(self, matrices: Tensor, axis: int, last: bool) -> None:
        self.rows = matrices.shape[1]
        self.axis = axis
        self.last = last
        self.matrices = [matrix.T if last else matrix for matrix in matrices]

    def shape(self, x: Tensor) -> tuple[int, ...]:
        """The shape of a product with x `(maps, *space)`."""
        axis = 1 + self.axis
        return (*x.shape[:axis], self.rows, *x.shape[axis + 1 :])

    def multiply(self, degree: int, x: Tensor, out: Tensor, add: bool = False) -> None:
        """Write the product of x along the axis and the matrix of a degree, or add it.

        Args:
            x, out: `(maps, *space)`, contiguous; along the first axis of space it is enough that
                what comes after it is.
        """
        matrix, (x, out) = self.matrices[degree], (_around(t, 1 + self.axis) for t in (x, out))
        if self.last:
            out[..., 0].addmm_(x[..., 0], matrix, beta=int(add))
        else:
            # A matrix times a batch of matrices would be folded into one product of copies.
            out.baddbmm_(matrix.expand(len(x), -1, -1), x, beta=int(add))


def _around(x: Tensor, axis: int) -> Tensor:
    """`(everything before, axis, everything after)`."""
    return x.view(math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1 :]))
