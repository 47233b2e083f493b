"""Where in a volume the patient is.

Most published volumes have the skull removed: everything outside the brain is exactly 0. Others are
cut out so tightly that there is no outside. In yet others the head is surrounded by air, whose
noise is dark but not 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

STRAY = 0.05
"""The largest share of what is not 0 that lies outside the head where the skull was removed."""

AIR = 0.9
"""The share of the corners of a volume that is dark where air surrounds the patient."""

GREYS = 128
"""Brightness is divided on the scale of an 8-bit image, whose bright end this is."""

BINS = 128


def foreground(image: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The voxels of the patient in (channels, D, H, W), as (D, H, W).

    What differs from 0 in any channel; where air surrounds that, what is brighter than air in any
    channel, and what lies between.
    """
    nonzero: NDArray[np.bool_] = (image != 0).any(axis=0)
    box = tuple(slice(where.min(), where.max() + 1) for where in np.nonzero(nonzero))
    inner = nonzero[box]
    head = _filled(np.any([_brighter_than_air(channel[box]) for channel in image], axis=0))
    if (inner & ~head).sum() <= STRAY * inner.sum() or _corners(head & inner) > 1 - AIR:
        return nonzero
    result = np.zeros_like(nonzero)
    result[box] = head
    return result


def _corners(inside: NDArray[np.bool_]) -> float:
    """The share of the eight corners, an eighth of each edge long, that is inside."""
    ends = [np.r_[0 : max(1, n // 8), n - max(1, n // 8) : n] for n in inside.shape]
    return float(inside[np.ix_(*ends)].mean())


def _brighter_than_air(channel: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Divide smoothed brightness, on a logarithmic scale, where Otsu's criterion says.

    On a linear scale the bright fat of the scalp would be told from everything else instead.
    """
    values = uniform_filter(channel - channel.min(), 3, mode="nearest")
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
