"""Textures without a preferred direction: sums of plane waves that run every way alike."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Field: TypeAlias = NDArray[np.floating[Any]]


def plane_waves(
    rng: np.random.Generator, size: int, wavelength: float, spread: float = 0.25, count: int = 48
) -> Field:
    """A smooth random field of mean 0 and variance 1.

    f(x) = Σ_j √(2/count) cos(k_j · x + φ_j), with directions and phases uniform: the field and its
    rotations have the same distribution, which a noise filtered on the periodic pixel grid has not
    (its few longest waves run along the axes). The sum over j is one product of two matrices,
    because cos(a + b) = cos a cos b - sin a sin b separates the axes.

    Args:
        rng: source of the waves; the same draws are made at every size, so that a field at another
            size is the same field, sampled more finely.
        size: height and width in pixels; the grid covers [-1, 1] in both directions.
        wavelength: the typical one, in units of half the image.
        spread: standard deviation of the logarithm of the wavelength.
        count: number of waves; more come closer to a Gaussian field.

    Returns:
        An array of shape (size, size). Waves shorter than about two pixels are faded out.
    """
    lengths = wavelength * np.exp(spread * rng.standard_normal(count))
    directions = rng.uniform(0.0, 2 * np.pi, count)
    phases = rng.uniform(0.0, 2 * np.pi, count)
    wavenumbers = 2 * np.pi / lengths
    pixel = 2.0 / size
    fade = np.exp(-((wavenumbers * pixel / np.pi) ** 4))
    axis = (np.arange(size) + 0.5) * pixel - 1.0
    x = (wavenumbers * np.cos(directions))[:, None] * axis
    y = (wavenumbers * np.sin(directions))[:, None] * -axis + phases[:, None]
    weights = (np.sqrt(2 / count) * fade)[:, None]
    along_x = np.concatenate([np.cos(x), -np.sin(x)]).astype(np.float32)
    along_y = np.concatenate([weights * np.cos(y), weights * np.sin(y)]).astype(np.float32)
    # Not `@`: the threads of a linear algebra library wait for each other on a busy machine, which
    # makes products this small many times slower.
    field: Field = np.einsum("kr,kc->rc", along_y, along_x)
    return field
