"""Batch normalisation of fields in channels-last memory, at the price of one of channels.

There the elements of a field are channels like any other, and the fast kernels of torch are those
of channels. The statistics of a field follow from those of its channels:

    mean = E[mean_c],    variance = E[variance_c] + Var[mean_c]
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F

from gcnn.kernels.own_gradient import is_batched
from gcnn.layers.memory_layout import channels_last


def of_channels(order: int, *of_fields: Tensor) -> tuple[Tensor, ...]:
    """Numbers of fields, each `(fields,)`, as numbers of channels."""
    numbers = torch.stack(of_fields)[..., None]
    return numbers.expand(-1, -1, order).flatten(1).unbind()


def normalise_fields(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, order: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalise every field by its own mean and variance over batch, group and space.

    `y = (x - mean) / sqrt(variance + eps) · weight + bias`

    Args:
        x: `(batch, fields · order, *space)`, channels-last.
        weight, bias: `(fields,)` or None.
        order: elements of a field.
        eps: added to the variance.

    Returns:
        y, as x; mean and variance (of the population), `(fields,)`, in float32 at least and
        without a gradient.
    """
    fields, full = x.shape[1] // order, torch.promote_types(x.dtype, torch.float32)
    scale = x.new_ones(fields, dtype=full) if weight is None else weight.to(full)
    shift = x.new_zeros(fields, dtype=full) if bias is None else bias.to(full)
    apply: Any = _NormaliseFields.apply
    result: tuple[Tensor, Tensor, Tensor] = apply(x, scale, shift, order, eps)
    return result


class _NormaliseFields(Function):
    """`normalise_fields`, with a gradient that goes over the features in kernels of channels."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor, shift: Tensor, order: int, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        # The kernel takes the dtype of its results from statistics to be updated.
        unused = scale.new_zeros(x.shape[1])
        means, variances = torch.batch_norm_update_stats(x, unused, unused, 0.0)
        spread, mean = torch.var_mean(means.view(-1, order), 1, correction=0)
        variance = spread.add_(variances.view(-1, order).mean(1))
        means, variances, scales, shifts = of_channels(order, mean, variance, scale, shift)
        ctx.save_for_backward(x, scale, shift, means, variances, scales)
        ctx.order, ctx.eps = order, eps
        ctx.mark_non_differentiable(mean, variance)
        y = torch.native_batch_norm(x, scales, shifts, means, variances, False, 0.0, eps)[0]
        return y, mean, variance

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, shift, means, variances, scales = ctx.saved_tensors
        order, eps = ctx.order, ctx.eps
        if torch.is_grad_enabled() or is_batched(gradient):
            return (*_differentiable_gradients(gradient, x, scale, shift, order, eps), None, None)
        gradient = channels_last(gradient)
        _, *to_channels = torch.ops.aten.native_batch_norm_backward(
            gradient, x, scales, means, variances, None, None, False, eps, [False, True, True]
        )
        to_fields = torch.stack(to_channels).view(2, -1, order).sum(2, keepdim=True)
        to_x = None
        if ctx.needs_input_grad[0]:
            # Through the statistics, and for given statistics.
            slopes = scales * (variances + eps).rsqrt_()
            shares = (slopes / (-x.numel() * order / x.shape[1])).view(-1, order)
            by_scale, by_shift = (to_fields * shares).flatten(1).unbind()
            given = (by_scale, by_shift, means, variances)
            to_x = torch.native_batch_norm(x, *given, False, 0.0, eps)[0]
            to_x.addcmul_(gradient, slopes.to(x.dtype).view(-1, *(1,) * (x.ndim - 2)))
        return to_x, *to_fields.flatten(1), None, None


@torch.enable_grad()
def _differentiable_gradients(
    gradient: Tensor, x: Tensor, scale: Tensor, shift: Tensor, order: int, eps: float
) -> list[Tensor | None]:
    """The gradients by operations that have gradients themselves."""
    inputs = [part for part in (x, scale, shift) if part.requires_grad]
    rows = x.movedim(1, -1)
    fields = torch.unflatten(rows.flatten(0, -2), 1, (-1, order))
    y = F.batch_norm(fields, None, None, scale, shift, training=True, eps=eps)
    y = y.view(rows.shape).movedim(-1, 1)
    gradients = iter(torch.autograd.grad(y, inputs, gradient, create_graph=True))
    return [next(gradients) if part.requires_grad else None for part in (x, scale, shift)]
