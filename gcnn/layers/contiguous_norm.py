"""Batch normalisation of fields in contiguous memory, with statistics by vectorised sums.

The kernel of torch sums float32 in float64, one number at a time: most of its time on a CPU.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F

from gcnn.kernels.own_gradient import is_batched

# Up to this |mean| / deviation, E[x²] - E[x]² loses less than one digit of float32.
_LARGEST_MEAN = 3.0


def may_normalise(x: Tensor) -> bool:
    """Whether `normalise` takes x: contiguous, in full precision, more than a number a field."""
    full = x.dtype in (torch.float32, torch.float64)
    return full and x.is_contiguous() and x.numel() > x.shape[1]


def normalise(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalise every field by its own mean and variance over batch, group and space.

    `y = (x - mean) / sqrt(variance + eps) · weight + bias`

    Args:
        x: `(batch, fields, *rest)`, as `may_normalise` wants it.
        weight, bias: `(fields,)` or None.
        eps: added to the variance.

    Returns:
        y, as x; mean and variance (of the population), `(fields,)`, without a gradient.
    """
    apply: Any = _Normalise.apply
    result: tuple[Tensor, Tensor, Tensor] = apply(x, weight, bias, eps)
    return result


class _Normalise(Function):
    """`normalise`, with the gradient of torch's kernel."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        mean, variance = _statistics(x)
        ctx.save_for_backward(x, weight, bias, mean, variance)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance)
        y = F.batch_norm(x, mean, variance, weight, bias, training=False, eps=eps)
        return y, mean, variance

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, mean, variance = ctx.saved_tensors
        if torch.is_grad_enabled() or is_batched(gradient):
            return (*_differentiable_gradients(gradient, x, weight, bias, ctx.eps), None)
        wanted = list(ctx.needs_input_grad[:3])
        spread = (variance + ctx.eps).rsqrt()
        parts = torch.ops.aten.native_batch_norm_backward(
            gradient.contiguous(), x, weight, None, None, mean, spread, True, ctx.eps, wanted
        )
        return (*(part if want else None for part, want in zip(parts, wanted, strict=True)), None)


def _statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    rows = x.flatten(-2) if x.ndim > 3 else x
    fields = [axis for axis in range(rows.ndim - 1) if axis != 1]
    count = x.numel() // x.shape[1]
    mean = rows.sum(-1).sum(fields) / count
    # Row by row, so that no sum gets long.
    square = torch.linalg.vector_norm(rows, dim=-1).square().sum(fields) / count
    variance = square - mean.square()
    if bool((mean.square() <= _LARGEST_MEAN**2 * variance).all()):
        return mean, variance
    unused = mean.new_zeros(2, len(mean))
    mean, variance = torch.batch_norm_update_stats(x, unused[0], unused[1], 0.0)
    return mean, variance


@torch.enable_grad()
def _differentiable_gradients(
    gradient: Tensor, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> list[Tensor | None]:
    """The gradients by operations that have gradients themselves."""
    given = (x, weight, bias)
    inputs = [part for part in given if part is not None and part.requires_grad]
    y = F.batch_norm(x, None, None, weight, bias, training=True, eps=eps)
    gradients = iter(torch.autograd.grad(y, inputs, gradient, create_graph=True))
    return [next(gradients) if part is not None and part.requires_grad else None for part in given]
