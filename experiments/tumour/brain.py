"""Where in a volume the patient is.

Most published volumes have the skull removed: everything outside the brain is exactly 0. In others
the head is surrounded by air, whose noise is dark but not 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

STRAY = 0.05
"""The largest share of what is not 0 that lies outside the head where the skull was removed."""

GREYS = 128
"""Brightness is divided on the scale of an 8-bit image, whose bright end this is."""

BINS = 128


def brain_mask(image: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The voxels of the brain, or of the head where the skull is still there.

    Args:
        image: of shape (modalities, depth, rows, columns).

    Returns:
        An array of shape (depth, rows, columns). What is brighter than air in any modality, and
        what lies between that; if hardly anything else differs from 0, all that does.
    """
    nonzero: NDArray[np.bool_] = (image != 0).any(axis=0)
    if not nonzero.any():
        return nonzero
    start, stop = bounding_box(nonzero)
    box = (slice(None), *(slice(*span) for span in zip(start, stop, strict=True)))
    inner = nonzero[box[1:]]
    head = _filled(np.any([_brighter_than_air(channel) for channel in image[box]], axis=0))
    if not head.any() or (inner & ~head).sum() <= STRAY * inner.sum():
        return nonzero
    result = np.zeros_like(nonzero)
    result[box[1:]] = head
    return result


def bounding_box(inside: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first voxel of the smallest box around what is inside, and the one after its last."""
    spans = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        found = np.flatnonzero(inside.any(axis=others))
        spans.append((found[0], found[-1] + 1))
    start, stop = np.array(spans).T
    return start, stop


def _brighter_than_air(channel: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Divide smoothed brightness, on a logarithmic scale, where Otsu's criterion says.

    On a linear scale the bright fat of the scalp would be told from everything else instead.
    """
    field = torch.from_numpy(channel - channel.min())[None, None]
    smooth = functional.avg_pool3d(field, 3, stride=1, padding=1, count_include_pad=False)
    values = smooth[0, 0].numpy()
    bright = np.quantile(values[::2, ::2, ::2], 0.99)
    level = np.log1p(values * (GREYS / bright)) if bright > 0 else values
    brighter: NDArray[np.bool_] = level > _otsu_threshold(level)
    return brighter


def _otsu_threshold(values: NDArray[Any]) -> float:
    """The threshold with the largest variance between the two classes (Otsu, 1979)."""
    counts, edges = np.histogram(values, bins=BINS)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    sums = np.cumsum(counts * centres)
    gap = sums[:-1] / np.maximum(below, 1) - (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    return float(edges[1 + np.argmax(below * above * gap**2)])


def _filled(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """With every voxel that has some of the inside on all four sides of its axial slice."""
    result = np.ones_like(inside)
    for axis in (1, 2):
        before = np.logical_or.accumulate(inside, axis=axis)
        after = np.flip(np.logical_or.accumulate(np.flip(inside, axis), axis=axis), axis)
        result &= before & after
    return result | inside
