"""The maximum over the elements of a field, and its gradient, without a walk over the elements."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from gcnn.kernels.own_gradient import is_batched, may_bring_its_gradient
from gcnn.layers.memory_layout import in_layout_of, is_channels_last


def field_maximum(x: Tensor, dim: int) -> Tensor:
    """`y = max_h x(h)`; elements that share the maximum share its gradient.

    Args:
        x: `(batch, channels, |H|, *space)`.
        dim: dimension of space.

    Returns:
        `(batch, channels, *space)`, in the layout of x.
    """
    if not may_bring_its_gradient(x):
        return in_layout_of(x, x.amax(2), dim)
    apply: Any = _FieldMaximum.apply
    last = is_channels_last(x, dim)
    maximum: Tensor = apply(x, last)
    return maximum.movedim(-1, 1) if last else maximum


class _FieldMaximum(Function):
    """The maximum, with elements as the first axis, so that every pass runs through memory.

    From `(batch, channels, |H|, *space)` to `(batch, channels, *space)`, or if last to
    `(batch, *space, channels)`.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, last: bool) -> Tensor:
        elements = _by_element(x, last)
        y = elements.amax(0)
        ctx.save_for_backward(x, y)
        ctx.last = last
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        x, y = ctx.saved_tensors
        if torch.is_grad_enabled() or is_batched(gradient):
            plain = gradient.movedim(-1, 1) if ctx.last else gradient
            with torch.enable_grad():
                return torch.autograd.grad(x.amax(2), x, plain, create_graph=True)[0], None
        # In place the result has the dtype of the features, which is the fast kernel.
        shares = (_by_element(x, ctx.last) if ctx.last else x.movedim(2, 0).clone()).eq_(y)
        shares *= gradient / shares.sum(0)
        if not ctx.last:
            return shares.movedim(0, 2), None
        return shares.movedim(0, -1).contiguous().movedim((-2, -1), (1, 2)), None


def _by_element(x: Tensor, last: bool) -> Tensor:
    """`(|H|, batch, channels, *space)`, or a copy `(|H|, batch, *space, channels)`."""
    return x.movedim((2, 1), (0, -1)).contiguous() if last else x.movedim(2, 0)
