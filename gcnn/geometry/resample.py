"""Move an image by a matrix: exactly where the grid allows it, else by spline interpolation.

Cubic and quintic interpolation are B-splines with their prefilter (Unser, "Splines: a perfect fit
for signal and image processing", IEEE Signal Processing Magazine 16(6), 1999).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from gcnn.geometry.axes import along_axis
from gcnn.geometry.coordinates import as_grid_symmetry, axis_matrix, centred_indices
from gcnn.geometry.tensor_construction import ordinary_tensors

INTERPOLATIONS = ("nearest", "linear", "cubic", "quintic")
_SPLINES = {"cubic": 3, "quintic": 5}
# So many points at once, because a volume has up to 216 taps for each.
_PART = 2**16
_NOTHING = 1e-20


def require_interpolation(interpolation: str) -> None:
    """Refuse an interpolation that is not known, naming those that are."""
    if interpolation not in INTERPOLATIONS:
        raise ValueError(f"interpolation must be one of {INTERPOLATIONS}, got {interpolation!r}")


def transform(image: Tensor, matrix: Tensor, interpolation: str = "cubic") -> Tensor:
    """The image moved by a matrix about the centre of its grid: `(h·f)(x) = f(h⁻¹ x)`.

    A matrix that maps the grid onto itself (multiples of 90°, mirrors, axis swaps) is applied
    exactly, and swaps the sizes of the axes where it must. Any other keeps the shape, and what
    comes from outside the image is zero. Integers are interpolated in float64, rounded and kept
    within what their dtype holds; of masks, the nearest pixel is taken.

    >>> from gcnn.geometry import rotation
    >>> transform(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), rotation(90)).tolist()
    [[2.0, 4.0], [1.0, 3.0]]

    Args:
        image: `(*, *space)` of any dtype; the last `d` axes are space.
        matrix: `(d, d)`, acting on `(x, y[, z])`.
        interpolation: "nearest", "linear", "cubic" or "quintic" (B-splines), used where the grid
            is not met.

    Returns:
        The moved image, of the same dtype and device; differentiable (where it interpolates, once).

    Raises:
        ValueError: unknown interpolation, or fewer axes than the matrix has rows.
    """
    require_interpolation(interpolation)
    dim = matrix.shape[-1]
    if image.ndim < dim:
        raise ValueError(f"a {dim}D matrix moves {dim} axes, the image has only {image.ndim}")
    symmetry = as_grid_symmetry(matrix)
    if symmetry is not None:
        flips, order = symmetry
        first = image.ndim - dim
        flipped = image.flip([first + axis for axis in flips])
        return flipped.permute(*range(first), *(first + axis for axis in order))
    if image.dtype == torch.bool:
        return transform(image.to(torch.uint8), matrix, "nearest").bool()
    if not (image.is_floating_point() or image.is_complex()):
        return _rounded(transform(image.double(), matrix, interpolation), image.dtype)
    along_axes = axis_matrix(matrix)
    if torch.equal(along_axes, along_axes.diagonal().diag()):
        # Small products, axis after axis, instead of a sum over all combinations of taps.
        for axis, factor in enumerate(along_axes.diagonal().tolist(), start=image.ndim - dim):
            size = image.shape[axis]
            image = along_axis(image, axis, stretching(size, factor, interpolation, size).to(image))
        return image
    points = _source_points(image.shape[-dim:], matrix)
    return _sample(image, points.to(image.device), interpolation)


def _rounded(values: Tensor, dtype: torch.dtype) -> Tensor:
    """The nearest integers that a dtype holds."""
    limits = torch.iinfo(dtype)
    # The largest int64 is no float64, and the next one above would wrap around.
    return values.round().clamp(limits.min, min(limits.max, 2**63 - 1024)).to(dtype)


@ordinary_tensors()
def stretching(size: int, factor: float, interpolation: str, stretched: int) -> Tensor:
    """The matrix `(stretched, size)` that stretches one axis about the centre of both grids."""
    position = torch.arange(stretched, dtype=torch.float64) - (stretched - 1) / 2
    index, weight = _taps(position / factor + (size - 1) / 2, size, interpolation)
    operator = torch.zeros(stretched, size, dtype=torch.float64)
    operator.index_put_((torch.arange(stretched).expand_as(index), index), weight, accumulate=True)
    degree = _SPLINES.get(interpolation)
    return operator if degree is None else operator @ _spline_prefilter(size, degree)


@ordinary_tensors()
def _source_points(size: Sequence[int], matrix: Tensor) -> Tensor:
    """Axis coordinates `(prod(size), d)` in the input of every output pixel."""
    points = centred_indices(size).flatten(0, -2)
    inverse: Tensor = torch.linalg.inv(axis_matrix(matrix))
    # The corner has the index 0, so less its place is the index of the centre.
    return points @ inverse.T - points[0]


def _sample(image: Tensor, points: Tensor, interpolation: str) -> Tensor:
    """`image` `(*, *space)` at `points` `(P, d)` with P the number of its pixels."""
    if image.is_complex():
        parts = (_sample(part, points, interpolation) for part in (image.real, image.imag))
        return torch.complex(*parts)
    dim = points.shape[1]
    size = image.shape[-dim:]
    if interpolation in _SPLINES:
        for axis in range(image.ndim - dim, image.ndim):
            prefilter = _spline_prefilter(image.shape[axis], _SPLINES[interpolation])
            image = along_axis(image, axis, prefilter.to(image))
    flat = image.flatten(-dim)
    # Rows of all channels at once: a weighted sum of rows reads each of them in one go.
    rows = flat[None].flatten(0, -2).T
    sampled = [_weighted_rows(rows, part, size, interpolation) for part in points.split(_PART)]
    return torch.unflatten(torch.cat(sampled).T.reshape(flat.shape), -1, size)


def _weighted_rows(rows: Tensor, points: Tensor, size: Sequence[int], interpolation: str) -> Tensor:
    """What is at `points` `(P, d)` in an image of the rows `(pixels, channels)`."""
    index = torch.zeros(len(points), 1, dtype=torch.long, device=rows.device)
    weight = torch.ones(len(points), 1, dtype=points.dtype, device=rows.device)
    for axis, edge in enumerate(size):
        taps, weights = _taps(points[:, axis], edge, interpolation)
        index = (index[:, :, None] * edge + taps.T[:, None]).flatten(1)
        weight = (weight[:, :, None] * weights.T[:, None]).flatten(1)
    return F.embedding_bag(index, rows, per_sample_weights=weight.to(rows.dtype), mode="sum")


def _taps(position: Tensor, size: int, interpolation: str) -> tuple[Tensor, Tensor]:
    """Pixel indices and weights `(taps, P)` of 1D interpolation at `position` `(P,)`."""
    inside = (position > -0.5 - 1e-9) & (position < size - 0.5 + 1e-9)
    if interpolation == "nearest":
        index = position.round().long().clamp(0, size - 1)[None]
        return index, inside[None].double()
    if interpolation == "linear":
        # Outside the grid the image is zero, so a tap that falls there weighs nothing.
        index = position.floor().long() + torch.arange(2, device=position.device)[:, None]
        weight = (1 - (position - index).abs()).clamp(min=0)
        return index.clamp(0, size - 1), weight * ((index >= 0) & (index < size))
    degree = _SPLINES[interpolation]
    reach = torch.arange(-(degree // 2), degree // 2 + 2, device=position.device)
    index = position.floor().long() + reach[:, None]
    weight = _b_spline(position - index, degree) * inside
    return _mirror_index(index, size), weight


def _b_spline(t: Tensor, degree: int) -> Tensor:
    """The B-spline of an odd degree at `t`, as a sum of truncated powers."""
    distance = t.abs()
    spline = torch.zeros_like(distance)
    for knot in range((degree + 1) // 2):
        height = (-1) ** knot * math.comb(degree + 1, knot) / math.factorial(degree)
        spline = spline + height * ((degree + 1) / 2 - knot - distance).clamp(min=0) ** degree
    return spline


def _mirror_index(index: Tensor, size: int) -> Tensor:
    if size == 1:
        return torch.zeros_like(index)
    period = 2 * (size - 1)
    index = index.remainder(period)
    return torch.where(index < size, index, period - index)


@functools.lru_cache(maxsize=64)
@ordinary_tensors()
def _spline_prefilter(size: int, degree: int) -> Tensor:
    """The matrix from samples to B-spline coefficients, mirrored at both ends."""
    matrix = torch.zeros(size, size, dtype=torch.float64)
    positions = torch.arange(size)
    offsets = torch.arange(-(degree // 2), degree // 2 + 1)
    for offset, weight in zip(offsets, _b_spline(offsets.double(), degree), strict=True):
        matrix[positions, _mirror_index(positions + offset, size)] += weight
    inverse: Tensor = torch.linalg.inv(matrix)
    # It decays until float32 holds it as a denormal, with which a processor is ten times slower.
    return torch.where(inverse.abs() < _NOTHING, 0, inverse)
