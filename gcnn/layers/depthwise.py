"""Convolutions that do not mix channels, with gradients that a processor is quick at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F

from gcnn.kernels.own_gradient import may_bring_its_gradient, outside_autocast

CONVOLUTIONS: dict[int, Callable[..., Tensor]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_FEW_PIXELS = 9


def depthwise(x: Tensor, filters: Tensor, padding: int) -> Tensor | None:
    """`convolution(x, filters, padding=padding, groups=channels)`; None where that is as good.

    Both gradients are such convolutions too. PyTorch's own take ten times as long on a processor:
    that of the filters from 5×5 pixels on, in space that of the features as well.

    Args:
        x: `(batch, channels, *space)`, of the plane or of space.
        filters: `(channels, 1, *kernel)`, of one edge.
        padding: in pixels.
    """
    size, dim = filters.shape[-1], x.ndim - 2
    full = x.dtype == filters.dtype in (torch.float32, torch.float64)
    if dim == 1 or size**dim <= _FEW_PIXELS or padding >= size or not full:
        return None
    if not may_bring_its_gradient(x):
        return None
    y: Tensor = _Depthwise.apply(x, filters, padding)  # type: ignore[no-untyped-call]
    return y


class _Depthwise(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, filters: Tensor, padding: int) -> Tensor:
        ctx.save_for_backward(x, filters)
        ctx.padding = padding
        return CONVOLUTIONS[x.ndim - 2](x, filters, padding=padding, groups=len(filters))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, filters = ctx.saved_tensors
        convolution = CONVOLUTIONS[x.ndim - 2]
        for_x = for_filters = None
        with outside_autocast(gradient.device.type):
            if ctx.needs_input_grad[0]:
                reached = filters.shape[-1] - 1 - ctx.padding
                turned = filters.flip(tuple(range(2, x.ndim)))
                for_x = convolution(gradient, turned, padding=reached, groups=len(filters))
            if ctx.needs_input_grad[1]:
                # Every channel of every sample is a filter for itself.
                samples = x.reshape(1, -1, *x.shape[2:])
                moved = gradient.reshape(-1, 1, *gradient.shape[2:])
                each = convolution(samples, moved, padding=ctx.padding, groups=len(moved))
                for_filters = each.view(len(x), *filters.shape).sum(dim=0)
        return for_x, for_filters, None
