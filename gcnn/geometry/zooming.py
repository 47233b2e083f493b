"""Images made smaller or larger about their centre, together with their grid."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from gcnn.geometry.axes import along_axis
from gcnn.geometry.resample import require_interpolation, stretching
from gcnn.geometry.tensor_construction import ordinary_tensors

_ROUNDING = 1e-9
# Splines are compared at so many places in a pixel: more change no digit that counts.
_PER_PIXEL = 4


def scaled_size(size: int, factor: float, step: int = 2) -> int:
    """The edge of the smallest grid that holds an edge of `size` pixels scaled by `factor`.

    It differs from `size` by a multiple of `step`. With steps of 2 it is even or odd as `size`
    is, so that the centre stays on a pixel or between two.

    >>> scaled_size(96, 0.7), scaled_size(96, 0.7, step=16), scaled_size(33, 0.7)
    (68, 80, 25)

    Raises:
        ValueError: a size below 1, or a factor that is not positive and finite.
    """
    if size < 1 or not 0 < factor < math.inf:
        raise ValueError(f"an edge of {size} pixels cannot be scaled by {factor}")
    steps = math.ceil(size * (factor - 1) / step - _ROUNDING)
    return max(size + step * steps, (size - 1) % step + 1)


def zoom(
    image: Tensor,
    factor: float,
    dim: int,
    interpolation: str = "cubic",
    size: Sequence[int] | None = None,
) -> Tensor:
    """The image scaled about its centre, on a grid that grows with it: `out(x) = f(x / factor)`.

    Objects become `factor` times as large in pixels, and so does the grid, so that nothing is cut
    off. As in `transform`, the centres of both grids are one place, and what comes from outside
    the image is zero.

    Where an image shrinks, frequencies that the coarser grid cannot carry are removed. "cubic" and
    "quintic" give, among all splines on the coarser grid, the one closest to the spline through
    the image (Unser, Aldroubi and Eden, "Enlargement or reduction of digital images with minimum
    loss of information", IEEE Transactions on Image Processing 4(3), 1995). "linear" averages
    under a triangle that reaches to the next coarse pixels, with weights that are never negative.
    "nearest" removes nothing: it is for labels.

    >>> zoom(torch.ones(1, 3, 96, 64), 0.75, dim=2).shape
    torch.Size([1, 3, 72, 48])

    Args:
        image: `(*, *space)`, floating point.
        factor: above 1 enlarges, below 1 shrinks.
        dim: how many of the last axes are space.
        interpolation: "nearest", "linear", "cubic" or "quintic" (B-splines).
        size: another shape of space for the result: more is zero, less is cut off. Unless given,
            `scaled_size` of every axis.

    Returns:
        `(*, *scaled space)`, of the same dtype and device; differentiable.

    Raises:
        ValueError: unknown interpolation, a factor that is not positive, or a number of axes or
            sizes that does not fit.
        TypeError: integers; convert them first.
    """
    require_interpolation(interpolation)
    if not 0 < dim <= image.ndim:
        raise ValueError(f"an image of shape {tuple(image.shape)} has no {dim} axes of space")
    if not image.is_floating_point():
        raise TypeError(f"an image of {image.dtype} cannot be interpolated; use image.float()")
    space = tuple(image.shape[-dim:])
    whole = tuple(scaled_size(n, factor) for n in space)
    size = whole if size is None else tuple(size)
    if len(size) != dim or min(size) < 1:
        raise ValueError(f"size must be {dim} positive integers, got {size}")
    if factor == 1 and size == space:
        return image
    for axis, (n, scaled) in enumerate(zip(space, size, strict=True), start=image.ndim - dim):
        image = along_axis(image, axis, _zooming(n, factor, interpolation, scaled).to(image))
    return image


@functools.lru_cache(maxsize=64)
@ordinary_tensors()
def _zooming(size: int, factor: float, interpolation: str, scaled: int) -> Tensor:
    """The matrix `(scaled, size)` that zooms one axis."""
    if factor >= 1 or interpolation == "nearest":
        return stretching(size, factor, interpolation, scaled)
    # A coarse grid that holds the image, and a fine one that reaches beyond it.
    coarse = scaled + 2 * math.ceil((size * factor - scaled) / 2 - _ROUNDING)
    fine = size + 2 * math.ceil(((coarse + 2) / factor - size) / 2)
    if interpolation == "linear":
        triangles = stretching(coarse, 1 / factor, interpolation, fine)
        outside = (fine - size) // 2
        shrink = F.pad((triangles / triangles.sum(dim=0)).T, (-outside, -outside))
    else:
        enlarge = stretching(coarse, _PER_PIXEL / factor, interpolation, _PER_PIXEL * fine)
        image = stretching(size, _PER_PIXEL, interpolation, _PER_PIXEL * fine)
        shrink = torch.linalg.lstsq(enlarge, image).solution
    more = (scaled - coarse) // 2
    return F.pad(shrink, (0, 0, more, more))
