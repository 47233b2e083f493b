"""Smooth random fields in space without a preferred direction: sums of plane waves."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Field: TypeAlias = NDArray[np.floating[Any]]
Axes: TypeAlias = tuple[Field, Field, Field]


def plane_waves(
    rng: np.random.Generator, axes: Axes, wavelength: float, spread: float = 0.25, count: int = 48
) -> Field:
    """A random field of mean 0 and variance 1.

    f(x) = Σ_j √(2/count) cos(k_j · x + φ_j), with directions uniform on the sphere and phases on
    the circle. A wave is the real part of a product of one factor for each axis, so that the sum is
    one product of two matrices.

    Args:
        rng: source of the waves; the same draws are made whatever the axes, so that the field on
            other axes is the same field, sampled there.
        axes: the coordinates of the voxels along each of the three axes.
        wavelength: the typical one, in the unit of the coordinates.
        spread: standard deviation of the logarithm of the wavelength.
        count: number of waves; more come closer to a Gaussian field.

    Returns:
        An array of shape (len(axes[0]), len(axes[1]), len(axes[2])). Waves shorter than about two
        voxels are faded out.
    """
    lengths = wavelength * np.exp(spread * rng.standard_normal(count))
    directions = rng.standard_normal((3, count))
    directions /= np.linalg.norm(directions, axis=0)
    phases = rng.uniform(0.0, 2 * np.pi, count)
    numbers = 2 * np.pi / lengths
    voxel = max(abs(float(axis[1] - axis[0])) for axis in axes)
    fade = np.exp(-((numbers * voxel / np.pi) ** 4))
    first, second, third = (
        np.exp(1j * np.outer(numbers * direction, axis))
        for direction, axis in zip(directions, axes, strict=True)
    )
    first *= (np.sqrt(2 / count) * fade * np.exp(1j * phases))[:, None]
    plane = (second[:, :, None] * third[:, None, :]).reshape(count, -1)
    # Not `@`: the threads of a linear algebra library wait for each other on a busy machine.
    stacked = np.concatenate([first.real, -first.imag]).astype(np.float32)
    waves = np.concatenate([plane.real, plane.imag]).astype(np.float32)
    field: Field = np.einsum("jd,jp->dp", stacked, waves)
    return field.reshape(tuple(map(len, axes)))
