"""Volumes made smaller or larger about their centre.

The interpolation is by convolution along each axis: the piecewise linear kernel, or the cubic one
of Keys ("Cubic convolution interpolation for digital image processing", IEEE Transactions on
Acoustics, Speech, and Signal Processing 29(6), 1981; a = -1/2). Where a volume shrinks, the kernel
is widened by the same factor, so that it also removes the frequencies that the smaller grid cannot
carry.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal, TypeAlias

import torch
from torch import Tensor

__all__ = ["Kernel", "scaled_size", "zoom", "zoom_mask"]

Kernel: TypeAlias = Literal["linear", "cubic"]
_REACH = {"linear": 1.0, "cubic": 2.0}


def scaled_size(size: int, factor: float) -> int:
    """The edge of the grid that holds an edge of `size` voxels scaled by `factor`.

    It is even or odd as `size` is, so that the centre stays on or between voxels as it was.
    """
    if size < 1 or not (math.isfinite(factor) and factor > 0):
        raise ValueError(f"an edge of {size} voxels cannot be scaled by {factor}")
    half = size * (factor - 1) / 2
    return max(size + 2 * math.ceil(half - 1e-9), 2 - size % 2)


def zoom(volume: Tensor, factor: float, kernel: Kernel = "cubic") -> Tensor:
    """A volume (*, D, H, W) scaled about its centre: `out(x) = volume(x / factor)`.

    Objects become `factor` times as large in voxels, and so does the grid (`scaled_size`). Outside
    the volume there is 0, as where a network pads it. Factor 1 changes nothing.

    Raises:
        ValueError: another kernel, or a factor that is not positive.
    """
    if kernel not in _REACH:
        raise ValueError(f"the kernel must be one of {sorted(_REACH)}, not {kernel!r}")
    if factor == 1:
        return volume
    for axis in (-3, -2, -1):
        matrix = _axis_matrix(volume.shape[axis], factor, kernel).to(volume)
        volume = torch.movedim(torch.movedim(volume, axis, -1) @ matrix.T, -1, axis)
    return volume


def zoom_mask(mask: Tensor, factor: float) -> Tensor:
    """Masks (*, D, H, W) of 0 and 1 scaled linearly and cut at one half; their own dtype."""
    return (zoom(mask.float(), factor, "linear") > 0.5).to(mask.dtype)


@lru_cache(maxsize=64)
def _axis_matrix(size: int, factor: float, kernel: Kernel) -> Tensor:
    """The weights (scaled size, size), float64, with which voxels along an axis are mixed."""
    scaled = scaled_size(size, factor)
    places = (torch.arange(scaled, dtype=torch.float64) - (scaled - 1) / 2) / factor
    places = places + (size - 1) / 2
    shrink = min(factor, 1.0)
    reach = math.ceil(_REACH[kernel] / shrink)
    taps = places.floor().long()[:, None] + torch.arange(-reach, reach + 2)
    weights = _weigh((taps - places[:, None]).abs() * shrink, kernel)
    weights = weights / weights.sum(1, keepdim=True)
    weights = weights * ((taps >= 0) & (taps < size))
    matrix = torch.zeros(scaled, size, dtype=torch.float64)
    return matrix.scatter_add(1, taps.clamp(0, size - 1), weights)


def _weigh(distance: Tensor, kernel: Kernel) -> Tensor:
    if kernel == "linear":
        return (1 - distance).clamp(min=0)
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    zero = torch.zeros_like(distance)
    return torch.where(distance <= 1, near, torch.where(distance < 2, far, zero))
