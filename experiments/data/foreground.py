"""Where in a volume the patient is.

Most published volumes have the skull removed: everything outside the brain is exactly 0. Others are
cut out so tightly that there is no outside. In yet others the head is surrounded by air, whose
noise is dark but not 0.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

STRAY = 0.05  # the most that is not 0 outside the head, as a share, where the skull was removed
FULL = 0.99  # from this share of what is not 0, nothing is outside, and 0 is a value like others
AIR = 0.9  # the share of the corners of a volume that is dark where air surrounds the patient


def foreground(image: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The voxels of the patient in (channels, D, H, W), as (D, H, W).

    What differs from 0 in any channel; where air surrounds that, what is brighter than air in any
    channel, and what lies between.
    """
    nonzero: NDArray[np.bool_] = (image != 0).any(axis=0)
    box = tuple(slice(where.min(), where.max() + 1) for where in np.nonzero(nonzero))
    inner = nonzero[box]
    head = np.any([_brighter_than_air(channel[box]) for channel in image], axis=0)
    # What has some of the head on all four sides of its axial slice is the head, too.
    between = np.ones_like(head)
    for axis in (1, 2):
        before = np.logical_or.accumulate(head, axis=axis)
        after = np.flip(np.logical_or.accumulate(np.flip(head, axis), axis=axis), axis)
        between &= before & after
    head |= between
    ends = [np.r_[0 : max(1, n // 8), n - max(1, n // 8) : n] for n in head.shape]
    dark_corners = 1 - (head & inner)[np.ix_(*ends)].mean()
    if (inner & ~head).sum() <= STRAY * inner.sum() or dark_corners < AIR:
        return nonzero if nonzero.mean() < FULL else np.ones_like(nonzero)
    result = np.zeros_like(nonzero)
    result[box] = head
    return result


def _brighter_than_air(channel: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Divide smoothed brightness at the threshold of Otsu (1979).

    On the scale of an 8-bit image and logarithmic: on a linear one the bright fat of the scalp
    would be told from everything else instead.
    """
    values = uniform_filter(channel - channel.min(), 3, mode="nearest")
    bright = np.quantile(values[::2, ::2, ::2], 0.99)
    level = np.log1p(values * (128 / bright)) if bright > 0 else values
    counts, edges = np.histogram(level, bins=128)
    sums = np.cumsum(counts * (edges[:-1] + edges[1:]) / 2)
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    gap = sums[:-1] / np.maximum(below, 1) - (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    brighter: NDArray[np.bool_] = level > edges[1 + np.argmax(below * above * gap**2)]
    return brighter
