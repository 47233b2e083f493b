"""Blobs of random place, size and outline, all sizes alike but for their size.

Coordinates are in units of half the volume, from -1 to 1.
"""

from __future__ import annotations

import numpy as np

from experiments.tumour.waves import Axes, Field, plane_waves

RADII = (0.13, 0.45)
"""The smallest and the largest mean radius of a tumour, in units of half the volume."""

ROUGHNESS = 0.2
"""Standard deviation of the logarithm of the radius over the directions."""


def blob(rng: np.random.Generator, axes: Axes, half_edges: Field) -> tuple[Field, float]:
    """A region of the size and shape of a tumour.

    Args:
        rng: source of place, size and outline.
        axes: the coordinates of the voxels.
        half_edges: half axes of the brain.

    Returns:
        A field that is below 1 inside, and the mean radius.
    """
    centre, radius = random_place(rng, half_edges)
    return outline_depth(rng, own_axes(axes, centre, radius)), radius


def random_place(rng: np.random.Generator, half_edges: Field) -> tuple[Field, float]:
    """A centre uniform in the brain, further from its surface the larger the radius, and that."""
    radius = float(np.exp(rng.uniform(*np.log(RADII))))
    direction = rng.standard_normal(3)
    direction *= rng.uniform() ** (1 / 3) / np.linalg.norm(direction)
    return direction * np.clip(half_edges - 0.8 * radius, 0.05, None), radius


def own_axes(axes: Axes, centre: Field, radius: float) -> Axes:
    """Coordinates about a centre in units of a radius."""
    depth, row, column = ((axis - place) / radius for axis, place in zip(axes, centre, strict=True))
    return depth, row, column


def outline_depth(rng: np.random.Generator, own: Axes) -> Field:
    """Distance from the centre of a blob, in units of the distance of its outline there.

    Args:
        rng: source of the outline.
        own: coordinates from `own_axes`: the outline is the same at every size.
    """
    stretch = np.exp(rng.normal(0.0, 0.15, 3))
    distance = ellipsoid_distance(own, np.zeros(3), stretch / np.prod(stretch) ** (1 / 3))
    depth: Field = distance * np.exp(ROUGHNESS * plane_waves(rng, own, wavelength=1.6))
    return depth


def ellipsoid_distance(axes: Axes, centre: Field, half_edges: Field) -> Field:
    """Distance from a centre in units of the half axes of an ellipsoid: 1 on its surface."""
    depth, row, column = (
        ((axis - place) / length) ** 2
        for axis, place, length in zip(axes, centre, half_edges, strict=True)
    )
    squared = depth[:, None, None] + row[:, None] + column
    distance: Field = np.sqrt(squared).astype(np.float32)
    return distance


def covered(depth: Field, outline: float, own: Axes) -> Field:
    """The share of each voxel within an outline, with an edge about one voxel wide."""
    voxel = float(own[0][1] - own[0][0])
    cover: Field = np.clip((outline - depth) / voxel + 0.5, 0.0, 1.0).astype(np.float32)
    return cover
