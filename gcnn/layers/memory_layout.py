"""Keep `channels_last` tensors what they are.

A feature map `(batch, channels, |H|, *space)` is channels-last if `(batch, channels · |H|, *space)`
is: in memory, the elements of a field are neighbours.
"""

from __future__ import annotations

import torch
from torch import Tensor

_FORMATS = {2: torch.channels_last, 3: torch.channels_last_3d}


def is_channels_last(x: Tensor, dim: int) -> bool:
    """Whether an image or feature map with `dim` axes of space is channels-last, and only that."""
    if dim not in _FORMATS or x.numel() == 0:
        return False
    channels, space = range(1, x.ndim - dim), range(x.ndim - dim, x.ndim)
    return _follow(x, (0, *space, *channels)) and not _follow(x, (0, *channels, *space))


def _follow(x: Tensor, axes: tuple[int, ...]) -> bool:
    """Whether memory runs through the axes in this order, the last one fastest.

    From the strides, because `is_contiguous(memory_format=...)` knows neither feature maps nor
    `torch.vmap`.
    """
    # Asked once: this runs several times a layer, and each look at a tensor takes its time.
    sizes, strides = tuple(x.shape), x.stride()
    expected = 1
    for axis in reversed(axes):
        if sizes[axis] != 1:
            if strides[axis] != expected:
                return False
            expected *= sizes[axis]
    return True


def channels_last(x: Tensor) -> Tensor:
    """An image or plain feature map `(batch, channels, *space)` in that layout."""
    return x.contiguous(memory_format=_FORMATS[x.ndim - 2])


def in_layout_of(x: Tensor, y: Tensor, dim: int) -> Tensor:
    """`y`, channels-last if `x` is."""
    if not is_channels_last(x, dim):
        return y
    if y.ndim == dim + 2:
        return channels_last(y)
    return torch.unflatten(channels_last(y.flatten(1, 2)), 1, y.shape[1:3])
