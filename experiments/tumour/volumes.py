"""A case in memory: read from its files, checked, and brought to what the networks take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.common.errors import UserError
from experiments.tumour.brain import bounding_box, brain_mask
from experiments.tumour.grids import Grid, oriented, resample
from experiments.tumour.labels import region_masks
from experiments.tumour.nifti import read_nifti, refuse_other_grid
from experiments.tumour.sources import Case

SAME_SPACING = 1e-3
"""Spacings that differ by less than this share are the same: nothing is resampled."""


@dataclass(frozen=True, eq=False)
class Volume:
    """The volumes of one case, in the orientation of `grids.AXES`.

    Attributes:
        name: of the case.
        image: float32, of shape (modalities, depth, rows, columns).
        mask: uint8, of shape (regions, depth, rows, columns), 0 or 1; None without a segmentation.
        affine: (4, 4), from indices of these arrays to millimetres to the right, anterior and
            superior.
        file: the grid of the files, in their own orientation.
    """

    name: str
    image: NDArray[np.float32]
    mask: NDArray[np.uint8] | None
    affine: NDArray[np.float64]
    file: Grid

    @property
    def grid(self) -> Grid:
        """The grid of these arrays."""
        depth, rows, columns = self.image.shape[1:]
        return Grid((depth, rows, columns), self.affine)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """The distances between neighbouring voxels in millimetres."""
        return self.grid.spacing


def read_case(case: Case, regions: tuple[str, ...]) -> Volume:
    """Read the files of a case.

    Args:
        case: what `find_cases` found.
        regions: one of the values of `labels.REGIONS`.

    Raises:
        UserError: when a file is missing, truncated, not NIfTI, of another number of dimensions
            than its layout has, or holds NaN or infinities; when the files are not on one grid, a
            modality is 0 everywhere, or a label is unknown.
    """
    channels: list[NDArray[np.float32]] = []
    read: dict[Path, tuple[NDArray[Any], NDArray[np.float64]]] = {}
    first: Path | None = None
    for modality, path in case.images.items():
        if path not in read:
            read[path] = read_nifti(path, case.name)
        stored, affine = read[path]
        values = _channel(stored, case, modality, path)
        grid = Grid(values.shape, affine)
        if first is None:
            first, native = path, grid
        refuse_other_grid(grid, native, path, first, case.name)
        if not values.any():
            raise UserError(f"{path} of {case.name} is 0 everywhere: its {modality} is empty")
        channels.append(oriented(values, affine)[0].astype(np.float32))
    if first is None:
        raise UserError(f"{case.name} has no images")
    mask = None
    if case.segmentation is not None:
        labels = _segmentation(case, native, first)
        mask = region_masks(labels, case.convention, regions, case.name)
    _, affine = oriented(values, native.affine)
    return Volume(case.name, np.stack(channels), mask, affine, native)


def preprocess(volume: Volume, spacing: float | None) -> Volume:
    """Crop a volume to the brain, normalise it there, and bring it to isotropic voxels.

    Every modality has mean 0 and standard deviation 1 inside the brain, before resampling, and is 0
    outside. The mask is what covers at least half of a voxel.

    Args:
        volume: what `read_case` read.
        spacing: of the voxels in millimetres; that of the volume when None.

    Returns:
        The volume on its new grid; `file` stays.

    Raises:
        UserError: when a modality is the same everywhere in the brain.
    """
    inside = brain_mask(volume.image)
    start, stop = bounding_box(inside)
    box = (slice(None), *(slice(*span) for span in zip(start, stop, strict=True)))
    image = _normalised(volume.image[box], inside[box[1:]], volume.name)
    mask = None if volume.mask is None else volume.mask[box]
    grid = volume.grid.window(start, stop)
    target = grid if spacing is None else grid.with_spacing(spacing)
    if not np.allclose(target.spacing, grid.spacing, rtol=SAME_SPACING, atol=0):
        image = resample(image, grid, target)
        if mask is not None:
            mask = (resample(mask, grid, target) >= 0.5).astype(np.uint8)
        grid = target
    return Volume(volume.name, image, mask, grid.affine, volume.file)


def refuse_small(volume: Volume, multiple: int) -> None:
    """Refuse a volume that a network cannot shrink as often as it does.

    Args:
        volume: as the network gets it, before padding.
        multiple: the stride of the network's coarsest level.

    Raises:
        UserError: when an axis has fewer voxels than that.
    """
    if min(volume.grid.shape) < multiple:
        sizes = "x".join(map(str, volume.grid.shape))
        spacing = " x ".join(f"{step:.3g}" for step in volume.spacing)
        raise UserError(
            f"{volume.name} is {sizes} voxels of {spacing} mm around the brain, but the networks "
            f"need at least {multiple} along every axis: choose a finer spacing"
        )


def _channel(stored: NDArray[Any], case: Case, modality: str, path: Path) -> NDArray[Any]:
    """The 3D volume of one modality, as stored."""
    if modality not in case.channels:
        # Some programmes write a fourth axis of length 1.
        squeezed = stored[..., 0] if stored.ndim == 4 and stored.shape[3] == 1 else stored
        if squeezed.ndim != 3:
            raise UserError(
                f"{path} of {case.name} is {stored.ndim}D, {'x'.join(map(str, stored.shape))}: "
                "a 3D volume is needed"
            )
        return squeezed
    needed = case.channels[modality] + 1
    if stored.ndim != 4 or stored.shape[3] < needed:
        raise UserError(
            f"{path} of {case.name} is {stored.ndim}D, {'x'.join(map(str, stored.shape))}: a 4D "
            f"file with at least {needed} volumes is needed, of which {modality} is number {needed}"
        )
    channel: NDArray[Any] = stored[..., needed - 1]
    return channel


def _segmentation(case: Case, native: Grid, reference: Path) -> NDArray[np.int64]:
    """The labels of a case, oriented as its images."""
    path = case.segmentation
    if path is None:
        raise UserError(f"{case.name} has no segmentation")
    stored, affine = read_nifti(path, case.name)
    squeezed = stored[..., 0] if stored.ndim == 4 and stored.shape[3] == 1 else stored
    if squeezed.ndim != 3:
        raise UserError(f"{path} of {case.name} is {stored.ndim}D: a 3D segmentation is needed")
    refuse_other_grid(Grid(squeezed.shape, affine), native, path, reference, case.name)
    return oriented(squeezed, affine)[0]


def _normalised(
    image: NDArray[np.float32], inside: NDArray[np.bool_], name: str
) -> NDArray[np.float32]:
    result = np.zeros_like(image)
    for channel, source in zip(result, image, strict=True):
        values = source[inside].astype(np.float64)
        deviation = values.std()
        if not deviation > 1e-6 * max(1.0, abs(values.mean())):
            raise UserError(f"a modality of {name} is {values.mean():g} everywhere in the brain")
        channel[inside] = (values - values.mean()) / deviation
    return result
