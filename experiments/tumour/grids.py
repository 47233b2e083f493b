"""Where the voxels of a volume are in the patient, and the same volume on other voxels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from nibabel import orientations
from numpy.typing import NDArray

AXES = "SPL"
"""Where the axes of our arrays run to: depth to superior, rows to posterior, columns to the left,
which is how a radiologist looks at axial slices."""

# nibabel tells no types of these functions.
_orientations: Any = orientations


@dataclass(frozen=True, eq=False)
class Grid:
    """The voxels of a volume.

    Attributes:
        shape: voxels along the three axes.
        affine: (4, 4), from voxel indices to millimetres to the right, anterior and superior.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]

    @property
    def spacing(self) -> tuple[float, float, float]:
        """The distances between neighbouring voxels in millimetres."""
        depth, row, column = np.linalg.norm(self.affine[:3, :3], axis=0).tolist()
        return depth, row, column

    def places(self, voxels: NDArray[Any]) -> NDArray[np.float64]:
        """Millimetres from voxel indices, both of shape (..., 3)."""
        where: NDArray[np.float64] = voxels @ self.affine[:3, :3].T + self.affine[:3, 3]
        return where

    def with_spacing(self, spacing: float) -> Grid:
        """The grid of isotropic voxels with the same centre and about the same field of view."""
        old = np.array(self.spacing)
        shape = np.maximum(1, np.round(np.array(self.shape) * old / spacing)).astype(int)
        return self._resized(shape, spacing / old)

    def window(self, start: NDArray[Any], stop: NDArray[Any]) -> Grid:
        """The grid of the voxels from `start` up to `stop`, which may lie outside this grid."""
        affine = self.affine.copy()
        affine[:3, 3] = self.places(start)
        return Grid(_three(np.asarray(stop) - start), affine)

    def _resized(self, shape: NDArray[np.int64], steps: NDArray[np.float64]) -> Grid:
        affine = self.affine.copy()
        affine[:3, :3] *= steps
        first = ((np.array(self.shape) - 1) - (shape - 1) * steps) / 2
        affine[:3, 3] = self.places(first)
        return Grid(_three(shape), affine)


def oriented(
    values: NDArray[Any], affine: NDArray[np.float64]
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Bring a volume to the orientation of `AXES` by swapping and flipping its axes.

    Args:
        values: of shape (i, j, k, ...), as in the file.
        affine: of the file.

    Returns:
        The volume, of shape (depth, rows, columns, ...), and its affine.
    """
    change = _orientations.ornt_transform(
        _orientations.io_orientation(affine), _orientations.axcodes2ornt(AXES)
    )
    turned = np.ascontiguousarray(_orientations.apply_orientation(values, change))
    return turned, affine @ _orientations.inv_ornt_aff(change, values.shape[:3])


def as_in_file(values: NDArray[Any], file: Grid) -> NDArray[Any]:
    """The inverse of `oriented`: put the axes back as they are in the file.

    Args:
        values: of shape (depth, rows, columns).
        file: the grid of the file.
    """
    change = _orientations.ornt_transform(
        _orientations.axcodes2ornt(AXES), _orientations.io_orientation(file.affine)
    )
    return np.ascontiguousarray(_orientations.apply_orientation(values, change))


def resample(values: NDArray[Any], source: Grid, target: Grid) -> NDArray[np.float32]:
    """The values of a volume at the voxels of another grid whose axes are parallel.

    Linear between voxels; towards coarser voxels averaged with a triangle as wide as they are, so
    that fine texture does not alias. One product of matrices for each axis. Outside the source, 0.

    Args:
        values: of shape (channels, *source.shape).
        source: where they are.
        target: where they are wanted.

    Returns:
        An array of shape (channels, *target.shape).

    Raises:
        ValueError: when the axes are not parallel, or `values` is not on the source.
    """
    if values.shape[1:] != source.shape:
        raise ValueError(f"values of shape {values.shape[1:]} are not on a grid of {source.shape}")
    index = np.linalg.inv(source.affine) @ target.affine
    steps = np.diag(index)[:3]
    if np.abs(index[:3, :3] - np.diag(steps)).max() > 1e-3 * np.abs(steps).max():
        raise ValueError(f"the axes of the two grids are not parallel: {index[:3, :3].tolist()}")
    result = np.asarray(values, dtype=np.float32)
    for axis in range(3):
        weights = _weights(
            source.shape[axis], target.shape[axis], steps[axis], float(index[axis, 3])
        )
        result = np.moveaxis(np.tensordot(result, weights, (axis + 1, 1)), -1, axis + 1)
    return np.ascontiguousarray(result)


def _weights(source: int, target: int, step: float, offset: float) -> NDArray[np.float32]:
    """How much each voxel of the source adds to each of the target, of shape (target, source)."""
    place = offset + step * np.arange(target)
    distance = np.abs(place[:, None] - np.arange(source))
    weights = np.clip(1.0 - distance / max(1.0, abs(step)), 0.0, None)
    within = (place > -0.5 - 1e-6) & (place < source - 0.5 + 1e-6)
    weights[~within] = 0.0
    totals = weights.sum(axis=1, keepdims=True)
    normalised: NDArray[np.float32] = (weights / np.where(totals > 0, totals, 1.0)).astype(
        np.float32
    )
    return normalised


def _three(shape: NDArray[Any]) -> tuple[int, int, int]:
    depth, rows, columns = (int(length) for length in shape)
    return depth, rows, columns
