"""Filters in bfloat16, as autocast wants them, of a basis that is not rounded to it.

A table of functions is the sum of two tables in bfloat16 up to 2⁻¹⁶ of its largest entries, and a
product sums in float32: only weights and filters are rounded, as autocast rounds them in any layer.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from gcnn.kernels.own_gradient import is_looked_into


def two_terms(table: Tensor, *, last: bool) -> Tensor:
    """A table of `expansion.product` as two in bfloat16, one after the other.

    Args:
        table: `(P, A, B, *kernel)`.
        last: put B last, for filters in channels-last memory.

    Returns:
        `(2 P, A, B, *kernel)` or `(2 P, A, *kernel, B)`; P instead of 2 P if one is enough.
    """
    table = (table.movedim(2, -1) if last else table).contiguous()
    high = table.bfloat16()
    low = (table - high.double()).bfloat16()
    return torch.cat([high, low]) if bool(low.any()) else high


def rounded_product(weight: Tensor, table: Tensor, *, last: bool) -> Tensor:
    """`expansion.product` in bfloat16.

    Args:
        weight: `(out, in, ...)`, P numbers for every pair of fields.
        table: of `two_terms`.
        last: as there.

    Returns:
        `(out · A, in · B, *kernel)`, in channels-last memory if `last`.
    """
    outputs, inputs = weight.shape[:2]
    rows = weight.flatten(2).flatten(0, 1).to(table.dtype)
    rows = rows.repeat(1, len(table) // rows.shape[1])
    filters = rows @ table.flatten(1)
    if last:
        ours, *kernel, theirs = table.shape[1:]
        filters = _swapped(filters.view(outputs, inputs, -1, theirs))
        return filters.view(outputs * ours, *kernel, inputs * theirs).movedim(-1, 1)
    ours, theirs, *kernel = table.shape[1:]
    filters = _swapped(filters.view(outputs, inputs, ours, -1))
    return filters.view(outputs * ours, inputs * theirs, *kernel)


def _swapped(x: Tensor) -> Tensor:
    """`x.transpose(1, 2)` in memory, of four axes."""
    if is_looked_into():
        return x.transpose(1, 2).contiguous()
    swapped: Tensor = _Swapped.apply(x)  # type: ignore[no-untyped-call]
    return swapped


class _Swapped(Function):
    """Copies words as wide as they fit, since each costs as much as a number; its own adjoint."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        size = x.shape[-1] * x.element_size()
        words = x
        for dtype in (torch.complex128, torch.int64, torch.int32):
            if size % dtype.itemsize == 0:
                words = x.view(dtype)
                break
        return words.transpose(1, 2).contiguous().view(x.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _swapped(gradient.contiguous())
