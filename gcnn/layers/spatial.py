"""Treat every leading axis of a tensor as channels, and keep the last axes as space."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def over_space(x: Tensor, dim: int, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply a function of `(batch, channels, *space)` to an image or a feature map.

    Args:
        x: `(batch, channels, *space)` or `(batch, channels, |H|, *space)`.
        dim: how many of the last axes are space.
        function: keeps batch and channels; may change the size of space.

    Raises:
        ValueError: too few axes.
    """
    if x.ndim not in (dim + 2, dim + 3):
        raise ValueError(
            f"expected (batch, channels, *{dim} of space) or (batch, channels, |H|, *{dim} of "
            f"space), got shape {tuple(x.shape)}"
        )
    if x.ndim == dim + 2:
        return function(x)
    return torch.unflatten(function(x.flatten(1, 2)), 1, x.shape[1:3])
