"""Move an image by a matrix: exactly where the grid allows it, else by spline interpolation.

The cubic interpolation is the cubic B-spline with its prefilter (Unser, "Splines: a perfect fit
for signal and image processing", IEEE Signal Processing Magazine 16(6), 1999).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from gcnn.geometry.coordinates import as_grid_symmetry, axis_matrix
from gcnn.geometry.tables import ordinary_tensors

INTERPOLATIONS = ("nearest", "linear", "cubic")


def transform(image: Tensor, matrix: Tensor, interpolation: str = "cubic") -> Tensor:
    """The image moved by a matrix about the centre of its grid: `(h·f)(x) = f(h⁻¹ x)`.

    A matrix that maps the grid onto itself (multiples of 90°, mirrors, axis swaps) is applied
    exactly, and swaps the sizes of the axes where it must. Any other keeps the shape, and what
    comes from outside the image is zero.

    Args:
        image: `(*, *space)`, floating point; the last `d` axes are space.
        matrix: `(d, d)`, acting on `(x, y[, z])`.
        interpolation: "nearest", "linear" or "cubic" (B-spline), used where the grid is not met.

    Returns:
        The moved image, of the same dtype and device; differentiable.

    Raises:
        ValueError: unknown interpolation, or fewer axes than the matrix has rows.
    """
    if interpolation not in INTERPOLATIONS:
        raise ValueError(f"interpolation must be one of {INTERPOLATIONS}, got {interpolation!r}")
    dim = matrix.shape[-1]
    if image.ndim < dim:
        raise ValueError(f"a {dim}D matrix moves {dim} axes, the image has only {image.ndim}")
    symmetry = as_grid_symmetry(matrix)
    if symmetry is not None:
        flips, order = symmetry
        first = image.ndim - dim
        flipped = image.flip([first + axis for axis in flips])
        return flipped.permute(*range(first), *(first + axis for axis in order))
    size = tuple(image.shape[-dim:])
    points = _source_points(size, matrix).to(image.device)
    return _sample(image, points, interpolation)


@ordinary_tensors()
def _source_points(size: Sequence[int], matrix: Tensor) -> Tensor:
    """Axis coordinates `(prod(size), d)` in the input of every output pixel."""
    axes = [torch.arange(n, dtype=torch.float64) - (n - 1) / 2 for n in size]
    mesh = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).flatten(0, -2)
    centre = torch.tensor([(n - 1) / 2 for n in size], dtype=torch.float64)
    inverse: Tensor = torch.linalg.inv(axis_matrix(matrix))
    return mesh @ inverse.T + centre


def _sample(image: Tensor, points: Tensor, interpolation: str) -> Tensor:
    """`image` `(*, *space)` at `points` `(P, d)` with P the number of its pixels."""
    dim = points.shape[1]
    size = image.shape[-dim:]
    if interpolation == "cubic":
        image = _spline_coefficients(image, dim)
    tap_indices, tap_weights = zip(
        *(_taps(points[:, axis], size[axis], interpolation) for axis in range(dim)), strict=True
    )
    flat = image.flatten(-dim)
    result = torch.zeros_like(flat)
    for choice in itertools.product(range(tap_indices[0].shape[0]), repeat=dim):
        index = torch.zeros_like(tap_indices[0][0])
        weight = torch.ones_like(tap_weights[0][0])
        for axis, tap in enumerate(choice):
            index = index * size[axis] + tap_indices[axis][tap]
            weight = weight * tap_weights[axis][tap]
        result = result + flat[..., index] * weight.to(flat.dtype)
    return torch.unflatten(result, -1, size)


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
    index = position.floor().long() + torch.arange(-1, 3, device=position.device)[:, None]
    weight = _cubic_b_spline(position - index) * inside
    return _mirror_index(index, size), weight


def _cubic_b_spline(t: Tensor) -> Tensor:
    distance = t.abs()
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = (2 - distance).clamp(min=0) ** 3 / 6
    return torch.where(distance < 1, near, far)


def _mirror_index(index: Tensor, size: int) -> Tensor:
    if size == 1:
        return torch.zeros_like(index)
    period = 2 * (size - 1)
    index = index.remainder(period)
    return torch.where(index < size, index, period - index)


def _spline_coefficients(image: Tensor, dim: int) -> Tensor:
    for axis in range(image.ndim - dim, image.ndim):
        inverse = _spline_prefilter(image.shape[axis]).to(image)
        image = torch.movedim(torch.movedim(image, axis, -1) @ inverse.T, -1, axis)
    return image


@functools.lru_cache(maxsize=64)
@ordinary_tensors()
def _spline_prefilter(size: int) -> Tensor:
    """The matrix from samples to cubic B-spline coefficients, mirrored at both ends."""
    matrix = torch.zeros(size, size, dtype=torch.float64)
    positions = torch.arange(size)
    for offset, weight in ((-1, 1 / 6), (0, 2 / 3), (1, 1 / 6)):
        matrix[positions, _mirror_index(positions + offset, size)] += weight
    inverse: Tensor = torch.linalg.inv(matrix)
    return inverse
