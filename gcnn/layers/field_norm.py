"""Batch normalisation of fields on processors, at the price of one of channels.

The fast kernels of torch are those of channels: whole fields in contiguous memory, where the
elements of a field are places like any other, and single elements in channels-last memory. The
statistics of a field follow from those of its channels:

    mean = E[mean_c],    variance = E[variance_c] + Var[mean_c]
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F

from gcnn.kernels.own_gradient import is_batched, may_bring_its_gradient
from gcnn.layers.memory_layout import channels_last

# Up to this |mean| / deviation, E[x²] - E[x]² loses less than one digit of float32.
_LARGEST_MEAN = 3.0


def of_channels(order: int, *of_fields: Tensor) -> tuple[Tensor, ...]:
    """Numbers of fields, each `(fields,)`, as numbers of channels."""
    if order == 1:
        return of_fields
    numbers = torch.stack(of_fields)[..., None]
    return numbers.expand(-1, -1, order).flatten(1).unbind()


def may_normalise(x: Tensor, last: bool) -> bool:
    """Whether `normalise` takes x: contiguous only in full precision, and two numbers a field."""
    full = x.dtype in (torch.float32, torch.float64)
    fits = last or (full and x.is_contiguous() and x.numel() > x.shape[1])
    return fits and may_bring_its_gradient(x)


def normalise(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, last: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalise every field by its own mean and variance over batch, group and space.

    `y = (x - mean) / sqrt(variance + eps) · weight + bias`

    Args:
        x: `(batch, fields, order, *space)`, as `may_normalise` wants it.
        weight, bias: `(fields,)` or None.
        eps: added to the variance.
        last: whether x is channels-last.

    Returns:
        y, as x; mean and variance (of the population), `(fields,)`, in float32 at least and
        without a gradient.
    """
    fields, full = x.shape[1], torch.promote_types(x.dtype, torch.float32)
    scale = x.new_ones(fields, dtype=full) if weight is None else weight.to(full)
    shift = x.new_zeros(fields, dtype=full) if bias is None else bias.to(full)
    apply: Any = _Normalise.apply
    if not last:
        y, mean, variance = apply(x, scale, shift, 1, eps)
        return y, mean, variance
    y, mean, variance = apply(x.flatten(1, 2), scale, shift, x.shape[2], eps)
    return torch.unflatten(y, 1, x.shape[1:3]), mean, variance


class _Normalise(Function):
    """`normalise` with `order` channels a field, and a gradient in kernels of channels."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor, shift: Tensor, order: int, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        mean, variance = _statistics(x)
        if order > 1:
            spread, mean = torch.var_mean(mean.view(-1, order), 1, correction=0)
            variance = spread.add_(variance.view(-1, order).mean(1))
        means, variances, scales, shifts = of_channels(order, mean, variance, scale, shift)
        ctx.save_for_backward(x, scale, shift, means, variances, scales)
        ctx.order, ctx.eps = order, eps
        ctx.mark_non_differentiable(mean, variance)
        y = torch.native_batch_norm(x, scales, shifts, means, variances, False, 0.0, eps)[0]
        return y, mean, variance

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, shift, means, variances, scales = ctx.saved_tensors
        order, eps, for_x = ctx.order, ctx.eps, ctx.needs_input_grad[0]
        if torch.is_grad_enabled() or is_batched(gradient):
            return (*_differentiable_gradients(gradient, x, scale, shift, order, eps), None, None)
        gradient = gradient.contiguous() if x.is_contiguous() else channels_last(gradient)
        deviations, alone = (variances + eps).rsqrt(), order == 1
        statistics = (None, None, means, deviations) if alone else (means, variances, None, None)
        to_x, *to_channels = torch.ops.aten.native_batch_norm_backward(
            gradient, x, scales, *statistics, alone, eps, [alone and for_x, True, True]
        )
        if alone:
            return to_x if for_x else None, *to_channels, None, None
        to_fields = torch.stack(to_channels).view(2, -1, order).sum(2, keepdim=True)
        if for_x:
            # Through the statistics, and for given statistics.
            slopes = scales * deviations
            shares = (slopes / (-x.numel() * order / x.shape[1])).view(-1, order)
            by_scale, by_shift = (to_fields * shares).flatten(1).unbind()
            given = (by_scale, by_shift, means, variances)
            to_x = torch.native_batch_norm(x, *given, False, 0.0, eps)[0]
            to_x.addcmul_(gradient, slopes.to(x.dtype).view(-1, *(1,) * (x.ndim - 2)))
        return to_x, *to_fields.flatten(1), None, None


def _statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of every channel, `(channels,)`.

    The kernel of torch sums contiguous float32 in float64, one number at a time: most of the time
    of a normalisation. Vectorised sums are faster, and exact enough where the mean is small.
    """
    if x.is_contiguous():
        rows = x.flatten(-2) if x.ndim > 3 else x
        axes = [axis for axis in range(rows.ndim - 1) if axis != 1]
        count = x.numel() // x.shape[1]
        mean = rows.sum(-1).sum(axes) / count
        # Row by row, so that no sum gets long.
        square = torch.linalg.vector_norm(rows, dim=-1).square().sum(axes) / count
        variance = square - mean.square()
        if bool((mean.square() <= _LARGEST_MEAN**2 * variance).all()):
            return mean, variance
    # The kernel takes the dtype of its results from statistics to be updated.
    full = torch.promote_types(x.dtype, torch.float32)
    unused = x.new_zeros(x.shape[1], dtype=full)
    mean, variance = torch.batch_norm_update_stats(x, unused, unused, 0.0)
    return mean, variance


@torch.enable_grad()
def _differentiable_gradients(
    gradient: Tensor, x: Tensor, scale: Tensor, shift: Tensor, order: int, eps: float
) -> list[Tensor | None]:
    """The gradients by operations that have gradients themselves."""
    inputs = [part for part in (x, scale, shift) if part.requires_grad]
    fields = torch.unflatten(x, 1, (-1, order)).flatten(2)
    y = F.batch_norm(fields, None, None, scale, shift, training=True, eps=eps).view(x.shape)
    gradients = iter(torch.autograd.grad(y, inputs, gradient, create_graph=True))
    return [next(gradients) if part.requires_grad else None for part in (x, scale, shift)]
