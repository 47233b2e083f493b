"""Batch normalisation of fields in channels-last memory, at the price of one of channels.

There the elements of a field are channels like any other, and the fast kernels of torch are those
of channels. The statistics of a field follow from those of its channels:

    mean = E[mean_c],    variance = E[variance_c] + Var[mean_c]
"""

from __future__ import annotations

from typing import Any, overload

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F


@overload
def of_channels(of_fields: Tensor, order: int) -> Tensor: ...
@overload
def of_channels(of_fields: Tensor | None, order: int) -> Tensor | None: ...
def of_channels(of_fields: Tensor | None, order: int) -> Tensor | None:
    """One number a field as one number a channel."""
    return None if of_fields is None else of_fields[:, None].expand(-1, order).flatten()


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
    rows = x.movedim(1, -1)
    # The places of all images in one axis: one shape for 2D and 3D.
    places = rows.reshape(1, -1, 1, x.shape[1]).movedim(-1, 1)
    full = torch.promote_types(x.dtype, torch.float32)
    scale, shift = (None if p is None else p.to(full) for p in (weight, bias))
    apply: Any = _NormaliseFields.apply
    y, mean, variance = apply(places, scale, shift, order, eps)
    return y.movedim(1, -1).view(rows.shape).movedim(-1, 1), mean, variance


class _NormaliseFields(Function):
    """`normalise_fields` of `(1, fields · order, places, 1)`."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, order: int, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        full = torch.promote_types(x.dtype, torch.float32)
        # The kernel takes the dtype of its results from statistics to be updated.
        updated = torch.zeros(2, x.shape[1], dtype=full, device=x.device)
        means, variances = (
            torch.unflatten(statistic, 0, (-1, order))
            for statistic in torch.batch_norm_update_stats(x, updated[0], updated[1], 0.0)
        )
        mean = means.mean(1)
        variance = variances.mean(1) + means.var(1, correction=0)
        ctx.save_for_backward(x, weight, bias, mean, variance)
        ctx.order, ctx.eps = order, eps
        ctx.mark_non_differentiable(mean, variance)
        return _normalised_by(x, (mean, variance), weight, bias, order, eps), mean, variance

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, mean, variance = ctx.saved_tensors
        order, eps = ctx.order, ctx.eps
        if torch.is_grad_enabled():
            return (*_differentiable_gradients(gradient, x, weight, bias, order, eps), None, None)
        scale = torch.ones_like(mean) if weight is None else weight
        inverse = (variance + eps).rsqrt()
        means, variances = of_channels(mean, order), of_channels(variance, order)
        # The gradients for given statistics, and then through the statistics.
        to_x, to_scale, to_shift = torch.ops.aten.native_batch_norm_backward(
            gradient.contiguous(memory_format=torch.channels_last),
            x,
            of_channels(scale, order),
            means,
            variances,
            means,
            of_channels(inverse, order),
            False,
            eps,
            [ctx.needs_input_grad[0], True, True],
        )
        to_scale, to_shift = (
            torch.unflatten(g, 0, (-1, order)).sum(1) for g in (to_scale, to_shift)
        )
        if to_x is not None:
            share = -scale * inverse / (order * x.shape[2])
            given = (mean, variance)
            to_x += _normalised_by(x, given, share * to_scale, share * to_shift, order, eps)
        to_scale, to_shift = (
            None if p is None else g for p, g in ((weight, to_scale), (bias, to_shift))
        )
        return to_x, to_scale, to_shift, None, None


def _normalised_by(
    x: Tensor,
    statistics: tuple[Tensor, Tensor],
    weight: Tensor | None,
    bias: Tensor | None,
    order: int,
    eps: float,
) -> Tensor:
    """The map of every channel, for given mean and variance of the fields."""
    mean, variance, weight, bias = (of_channels(p, order) for p in (*statistics, weight, bias))
    return F.batch_norm(x, mean, variance, weight, bias, training=False, eps=eps)


def _differentiable_gradients(
    gradient: Tensor,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    order: int,
    eps: float,
) -> list[Tensor | None]:
    """The gradients by operations that have gradients themselves."""
    parts = (x, weight, bias)
    inputs = [part for part in parts if part is not None and part.requires_grad]
    fields = torch.unflatten(x[0, :, :, 0].T, 1, (-1, order))
    y = F.batch_norm(fields, None, None, weight, bias, training=True, eps=eps)
    y = y.flatten(1).T[None, :, :, None]
    gradients = iter(torch.autograd.grad(y, inputs, gradient, create_graph=True))
    return [next(gradients) if part is not None and part.requires_grad else None for part in parts]
