"""Normalisation of fields that are not samples: only what no element moves has a mean."""

from __future__ import annotations

from torch import Tensor

from gcnn.fields import Field


def moments(x: Tensor, field: Field, axes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """The mean along the invariant direction v, and the variance about it.

    `mean = E⟨v, x⟩ / |v|²` and `variance = E|x - mean · v|² / size`; for samples on a group, where
    v is all ones, those over the elements.

    Args:
        x: `(batch, channels, size, *space)`.
        field: what axis 2 holds.
        axes: to average over, besides axis 2; they are kept.
    """
    v = _along_axis_2(field, x)
    mean = (x * v).sum(2, keepdim=True).mean(axes, keepdim=True) / v.square().sum()
    return mean, (x - mean * v).square().mean((2, *axes), keepdim=True)


def standardise(
    x: Tensor,
    field: Field,
    statistics: tuple[Tensor, Tensor],
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
) -> Tensor:
    """`(x - mean · v) / √(variance + eps) · weight + bias · v`."""
    mean, variance = statistics
    v, shape = _along_axis_2(field, x), (1, -1, *(1,) * (x.ndim - 2))
    y = (x - mean * v) * (variance + eps).rsqrt()
    y = y if weight is None else y * weight.view(shape)
    return y if bias is None else y + bias.view(shape) * v


def _along_axis_2(field: Field, x: Tensor) -> Tensor:
    return field.invariant.to(x).view(1, 1, -1, *(1,) * (x.ndim - 3))
