"""Smooth random fields without a preferred direction: sums of plane waves."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Field: TypeAlias = NDArray[np.floating[Any]]


def plane_waves(
    rng: np.random.Generator, axes: Sequence[Field], wavelength: float, spread: float = 0.25
) -> Field:
    """A random field of mean 0 and variance 1 on the grid of two or three axes.

    f(x) = Σ_j √(2/count) cos(k_j · x + φ_j), with directions and phases uniform: the field and its
    rotations have the same distribution, which a noise filtered on the periodic pixel grid has not
    (its few longest waves run along the axes). The draws do not depend on the axes: the field on
    others is the same, sampled there. Waves shorter than about two points are faded out, `spread`
    is the standard deviation of the logarithm of their length.
    """
    count = 48
    numbers = 2 * np.pi / (wavelength * np.exp(spread * rng.standard_normal(count)))
    if len(axes) == 2:
        angles = rng.uniform(0.0, 2 * np.pi, count)
        directions = np.stack([np.sin(angles), np.cos(angles)])
    else:
        directions = rng.standard_normal((3, count))
        directions /= np.linalg.norm(directions, axis=0)
    phases = rng.uniform(0.0, 2 * np.pi, count)
    step = max(float(np.ptp(axis)) / max(1, len(axis) - 1) for axis in axes)
    fade = np.exp(-((numbers * step / np.pi) ** 4))
    first, *others = (
        np.exp(1j * np.outer(numbers * direction, axis))
        for direction, axis in zip(directions, axes, strict=True)
    )
    # A wave is the real part of a product of one factor for each axis.
    first *= (np.sqrt(2 / count) * fade * np.exp(1j * phases))[:, None]
    plane = others[0]
    for factor in others[1:]:
        plane = (plane[:, :, None] * factor[:, None, :]).reshape(count, -1)
    # Not `@`: the threads of a linear algebra library wait for each other on a busy machine.
    stacked = np.concatenate([first.real, -first.imag]).astype(np.float32)
    waves = np.concatenate([plane.real, plane.imag]).astype(np.float32)
    return np.einsum("jd,jp->dp", stacked, waves).reshape(tuple(map(len, axes)))
