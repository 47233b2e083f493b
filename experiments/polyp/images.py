"""Reading an image and its mask from the disk, checked and at the size the networks take."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch.nn import functional

from experiments.common.errors import UserError

Pixels: TypeAlias = NDArray[np.uint8]

EIGHT_BIT_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")

DARK, BRIGHT = 32, 223
"""A mask is binary up to compression when its values are at most DARK or at least BRIGHT."""

MOST_GREY = 0.25
"""The largest share of a mask that its edges can make grey; a photograph has more."""

REACH = 17
"""Pixels around an edge, both sides together, in which JPEG's blocks of 8 smear its values."""


def read_image(path: Path) -> Pixels:
    """Read an image as RGB.

    Returns:
        An array of shape (height, width, 3).

    Raises:
        UserError: when the file is missing, corrupt, or not an 8-bit image.
    """
    return np.asarray(_open(path).convert("RGB"))


def read_mask(path: Path) -> Pixels:
    """Read a binary mask: 0 outside, 1 inside. All 0 is allowed.

    The file holds 0 and 255, as it is or after JPEG compression, or exactly 0 and 1.

    Returns:
        An array of shape (height, width).

    Raises:
        UserError: when the file is missing, corrupt, not an 8-bit image, or not binary.
    """
    values = np.asarray(_open(path).convert("L"))
    if values.max() == 1:
        return values
    if not _is_binary(values):
        raise UserError(
            f"{path} is not a binary mask: it should hold 0 outside and 255 inside, "
            f"found the values {_common_values(values)}"
        )
    return (values >= 128).astype(np.uint8)


def read_pair(image: Path, mask: Path, size: int) -> tuple[Pixels, Pixels]:
    """Read an image and its mask and bring them to a square, whatever their aspect ratio.

    Both are averaged over the area of the new pixels (a triangle filter as wide as they are), so
    that fine texture does not alias; the mask is what covers at least half of a pixel.

    Args:
        image: the file of the image.
        mask: the file of the mask.
        size: height and width of the result in pixels.

    Returns:
        The image, of shape (3, size, size), and the mask, of shape (1, size, size), 0 or 1.

    Raises:
        UserError: as `read_image` and `read_mask`, and when the two differ in size.
    """
    pixels, inside = read_image(image), read_mask(mask)
    if pixels.shape[:2] != inside.shape:
        raise UserError(
            f"{mask} is {inside.shape[1]}x{inside.shape[0]} pixels but its image {image} is "
            f"{pixels.shape[1]}x{pixels.shape[0]}: they should be the same size"
        )
    small = Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR)
    covered = Image.fromarray(inside.astype(np.float32)).resize(
        (size, size), Image.Resampling.BILINEAR
    )
    return (
        np.ascontiguousarray(np.moveaxis(np.asarray(small), -1, 0)),
        (np.asarray(covered) >= 0.5).astype(np.uint8)[None],
    )


def _open(path: Path) -> Image.Image:
    try:
        image = Image.open(path)
        image.load()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except UnidentifiedImageError:
        raise UserError(f"{path} is not an image that can be read: is the file corrupt?") from None
    # Pillow's decoders raise what they like on a broken file: OSError, SyntaxError, ValueError...
    except Exception as error:
        raise UserError(f"{path} cannot be read: {error} (is the file corrupt?)") from error
    if image.mode not in EIGHT_BIT_MODES:
        raise UserError(
            f"{path} has pixels of mode {image.mode}: an 8-bit grey or colour image is needed"
        )
    return image


def _is_binary(values: Pixels) -> bool:
    """Whether every value is near 0 or 255, but for the grey that compression puts at edges."""
    grey = (values > DARK) & (values < BRIGHT)
    if not grey.any():
        return True
    if grey.mean() > MOST_GREY:
        return False
    dark, bright = _spread(values <= DARK), _spread(values >= BRIGHT)
    return not (grey & ~(dark & bright)).any()


def _spread(where: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """All pixels within reach of one of the given pixels."""
    field = torch.from_numpy(where.astype(np.float32))[None, None]
    across = functional.max_pool2d(field, (1, REACH), stride=1, padding=(0, REACH // 2))
    spread = functional.max_pool2d(across, (REACH, 1), stride=1, padding=(REACH // 2, 0))
    return np.asarray(spread[0, 0] > 0)


def _common_values(values: Pixels, most: int = 8) -> str:
    """The most frequent values, in increasing order, for a message."""
    counts = Counter(values.ravel().tolist())
    named = ", ".join(str(value) for value in sorted(dict(counts.most_common(most))))
    return named if len(counts) <= most else f"{named} and {len(counts) - most} others"
