"""Filters of one coordinate as matrices, and tensors multiplied by them along an axis."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from gcnn.kernels.window import Window


def axis_operators(taps: Tensor, size: int, window: Window) -> Tensor:
    """The matrices that correlate one axis with filters of one coordinate.

    Args:
        taps: `(..., kernel_size)`.
        size: of the axis, in pixels.
        window: how filters slide.

    Returns:
        `(..., size of the output, size)`.
    """
    units, padding = window.padded(torch.eye(size, dtype=taps.dtype).unsqueeze(1))
    filters = taps.flatten(0, -2).unsqueeze(1)
    columns = F.conv1d(units, filters, None, window.stride, padding, window.dilation)
    return torch.unflatten(columns.permute(1, 2, 0), 0, taps.shape[:-1])


def support(matrices: Tensor) -> tuple[int, int]:
    """The range of columns outside which all matrices `(n, rows, columns)` are zero."""
    used = (matrices != 0).flatten(0, -2).any(dim=0).nonzero()
    return (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 1)


class Operator:
    """The n matrices of one axis and one element.

    Args:
        matrices: `(n, rows, columns)`.
        axis: of space, which they multiply.
    """

    def __init__(self, matrices: Tensor, axis: int) -> None:
        self.matrices = list(matrices)
        self.axis = 1 + axis

    def shape(self, x: Tensor) -> tuple[int, ...]:
        """The shape of a product with x `(maps, *space)`."""
        rows = len(self.matrices[0])
        return (*x.shape[: self.axis], rows, *x.shape[self.axis + 1 :])

    def multiply(self, degree: int, x: Tensor, out: Tensor, add: bool = False) -> None:
        """Write the product of x along the axis and the matrix of a degree, or add it.

        Args:
            x, out: `(maps, *space)`, contiguous; along the first axis of space it is enough that
                what comes after it is.
        """
        matrix, (x, out) = self.matrices[degree], (_around(t, self.axis) for t in (x, out))
        if x.shape[-1] == 1:
            out[..., 0].addmm_(x[..., 0], matrix.T, beta=int(add))
        else:
            # A matrix times a batch of matrices would be folded into one product of copies.
            out.baddbmm_(matrix.expand(len(x), -1, -1), x, beta=int(add))


def _around(x: Tensor, axis: int) -> Tensor:
    """`(everything before, axis, everything after)`."""
    return x.view(math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1 :]))
