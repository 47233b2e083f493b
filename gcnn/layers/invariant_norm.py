"""Normalisation of fields that are not samples: only what no element moves has a mean."""

from __future__ import annotations

from torch import Tensor

from gcnn.fields import Field


def about_invariant(
    x: Tensor,
    field: Field,
    axes: tuple[int, ...],
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    stored: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """`(x - mean · v) / √(variance + eps) · weight + bias · v`, with the invariant direction v.

    `mean = E⟨v, x⟩ / |v|²` and `variance = E|x - mean · v|² / size`; for samples on a group, where
    v is all ones, those over the elements.

    Args:
        x: `(batch, channels, size, *space)`.
        field: what axis 2 holds.
        axes: to average over, besides axis 2.
        weight, bias: `(channels,)` or None.
        eps: added to the variance.
        stored: mean and variance, `(channels,)`, to take instead of those of x.

    Returns:
        y, as x; mean and variance.
    """
    v = field.invariant.to(x).view(1, 1, -1, *(1,) * (x.ndim - 3))
    shape = (1, -1, *(1,) * (x.ndim - 2))
    if stored is None:
        mean = (x * v).sum(2, keepdim=True).mean(axes, keepdim=True) / v.square().sum()
        variance = (x - mean * v).square().mean((2, *axes), keepdim=True)
    else:
        mean, variance = (statistic.view(shape) for statistic in stored)
    y = (x - mean * v) * (variance + eps).rsqrt()
    y = y if weight is None else y * weight.view(shape)
    y = y if bias is None else y + bias.view(shape) * v
    return y, mean.flatten(), variance.flatten()
