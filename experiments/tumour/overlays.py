"""Pictures of one case: three slices through the tumour, with its outlines, true and found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.results.figures import COLOURS, png_bytes
from experiments.results.slices import Contour, Slice, slice_row

__all__ = ["largest_section", "overlay", "planes"]

_NAMES = ("axial", "coronal", "sagittal")
# Radiological display: the patient's right is on the left, anterior and superior are up.
_DIRECTIONS = (("R", "L", "A", "P"), ("R", "L", "S", "I"), ("A", "P", "S", "I"))
_DARKEST, _BRIGHTEST = 0.5, 99.5


def overlay(
    image: NDArray[np.floating],
    truth: NDArray[Any] | None,
    found: NDArray[Any],
    regions: Sequence[str],
    spacing: Sequence[float],
    title: str,
) -> bytes:
    """A PNG with an axial, a coronal and a sagittal slice, drawn to scale.

    Each slice is the one that the first region, the whole tumour, covers most of.

    Args:
        image: one modality (D, H, W), its axes running to superior, posterior and left.
        truth: masks (R, D, H, W) of 0 and 1, drawn as solid lines; None if it is not known.
        found: the prediction, of the same shape; dashed.
        regions: names of the R regions.
        spacing: of the voxels in millimetres.
        title: above the slices.

    Raises:
        ValueError: shapes that do not go together.
    """
    known = [] if truth is None else [("true", truth, False)]
    drawn = [*known, ("found", found, True)]
    for what, masks, _ in drawn:
        if masks.shape != (len(regions), *image.shape):
            raise ValueError(
                f"the masks {what}, {masks.shape}, of {len(regions)} regions do not go with an "
                f"image {image.shape}"
            )
    shown = _contrast(image)
    slices = []
    sections = largest_section(next((m[0] for _, m, _ in drawn if m[0].any()), found[0]))
    for axis, (name, index) in enumerate(zip(_NAMES, sections, strict=True)):
        contours = []
        for region, label in enumerate(regions):
            for what, masks, dashed in drawn:
                mask = planes(masks[region], axis, index) > 0
                colour = COLOURS[2 * region + dashed if len(regions) == 1 else region]
                contours.append(Contour(f"{label}, {what}", mask, colour, dashed))
        across = [mm for other, mm in enumerate(spacing) if other != axis]
        slices.append(
            Slice(
                f"{name}, slice {index + 1} of {image.shape[axis]}",
                planes(shown, axis, index),
                (across[0], across[1]),
                _DIRECTIONS[axis],
                contours,
            )
        )
    return png_bytes(slice_row(slices, title))


def largest_section(mask: NDArray[Any]) -> tuple[int, int, int]:
    """Of each axis the slice with the most voxels of a mask (D, H, W); the middle one if empty."""
    if not mask.any():
        return mask.shape[0] // 2, mask.shape[1] // 2, mask.shape[2] // 2
    depth, row, column = (
        int((mask > 0).sum(axis=tuple(other for other in range(3) if other != axis)).argmax())
        for axis in range(3)
    )
    return depth, row, column


def planes(volume: NDArray[Any], axis: int, index: int) -> NDArray[Any]:
    """One slice of a volume (D, H, W) as it is displayed, superior or else anterior at the top."""
    one: NDArray[Any] = np.take(volume, index, axis)
    return one if axis == 0 else one[::-1]


def _contrast(image: NDArray[np.floating]) -> NDArray[np.floating]:
    """The image from 0 to 1; what is outside the brain stays black."""
    inside = image[image != 0]
    if not inside.size:
        return np.zeros_like(image)
    low, high = np.percentile(inside, [_DARKEST, _BRIGHTEST])
    shown: NDArray[np.floating] = np.clip((image - low) / max(high - low, 1e-6), 0, 1)
    return np.where(image != 0, shown, 0)
