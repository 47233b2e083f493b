"""Reading images and their masks or labels, checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from scipy.ndimage import maximum_filter

from experiments.common.errors import UserError
from experiments.data.cases import Case, Sample, region_masks

Pixels: TypeAlias = NDArray[np.uint8]

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif")

EIGHT_BIT_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")

DARK, BRIGHT = 32, 223
"""A mask is binary up to compression when its values are at most DARK or at least BRIGHT."""

MOST_GREY = 0.25
"""The largest share of a mask that its edges can make grey; a photograph has more."""

REACH = 17
"""Pixels around an edge, both sides together, in which JPEG's blocks of 8 smear its values."""

_ORIENTATION = 0x0112


def open_image(path: Path, whole: bool = True) -> Image.Image:
    """Open an 8-bit image as it is stored, not yet turned as its EXIF orientation says.

    Args:
        path: the file.
        whole: decode it at full size; else only as much as shows whether that will succeed.

    Raises:
        UserError: when the file is missing, corrupt, holds several images, or is not 8-bit.
    """
    try:
        image = Image.open(path)
        if not whole:
            image.draft("L", (1, 1))
        image.load()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except UnidentifiedImageError:
        raise UserError(f"{path} is not an image that can be read: is the file corrupt?") from None
    # Pillow's decoders raise what they like on a broken file: OSError, SyntaxError, ValueError...
    except Exception as error:
        raise UserError(f"{path} cannot be read: {error} (is the file corrupt?)") from error
    if getattr(image, "n_frames", 1) > 1:
        raise UserError(f"{path} holds {image.n_frames} images: save the one that is meant alone")
    if image.mode not in EIGHT_BIT_MODES:
        raise UserError(
            f"{path} has pixels of mode {image.mode}: an 8-bit grey or colour image is needed"
        )
    return image


def read_image(path: Path) -> Pixels:
    """Read an image as RGB, upright, as (height, width, 3).

    Raises:
        UserError: as `open_image`.
    """
    return np.asarray(ImageOps.exif_transpose(open_image(path)).convert("RGB"))


def read_pair(case: Case, regions: Sequence[str]) -> Sample:
    """Read an image and its mask, both upright.

    A mask without table of labels is binary: 0 and 255, as it is or after JPEG compression, or
    exactly 0 and 1. All 0 is allowed.

    Args:
        case: with one colour or grey file, or one file for each of three colours.
        regions: some of the case.

    Raises:
        UserError: as `open_image`; when image and mask differ in size or orientation, or the mask
            is not binary, transparent, or holds an unknown label.
    """
    files = list(case.images.values())
    if len(set(files)) == 1:
        pixels = read_image(files[0])
    else:
        channels = [np.asarray(open_image(file).convert("L")) for file in files]
        pixels = np.stack(channels, -1)
    image = torch.from_numpy(np.moveaxis(pixels, -1, 0).copy())
    if case.label is None:
        return Sample(case.name, image, None)
    stored = open_image(case.label)
    turned = [(open_image(file), file) for file in files[:1]]
    if _orientation(stored) != _orientation(turned[0][0]):
        raise UserError(
            f"{files[0]} is stored turned (EXIF orientation {_orientation(turned[0][0])}) but its "
            f"mask {case.label} is not in the same way ({_orientation(stored)}): save both upright"
        )
    mask = ImageOps.exif_transpose(stored)
    if mask.size != (pixels.shape[1], pixels.shape[0]):
        raise UserError(
            f"{case.label} is {mask.width}x{mask.height} pixels but its image {files[0]} is "
            f"{pixels.shape[1]}x{pixels.shape[0]}: they should be the same size"
        )
    if mask.mode in ("LA", "PA", "RGBA") and np.asarray(mask.getchannel("A")).min() < 255:
        raise UserError(f"{case.label} is partly transparent: save the mask in grey, 0 and 255")
    if case.regions:
        # The indices of a palette are the labels, whatever their colours.
        values = np.asarray(mask if mask.mode in ("1", "L", "P") else mask.convert("L"))
        labels = torch.from_numpy(values.astype(np.uint8))
        return Sample(case.name, image, region_masks(labels, case, regions))
    return Sample(case.name, image, torch.from_numpy(_binary(mask, case.label))[None])


def _orientation(image: Image.Image) -> int:
    return int(image.getexif().get(_ORIENTATION, 1))


def _binary(mask: Image.Image, path: Path) -> Pixels:
    values = np.asarray(mask.convert("L"))
    if values.max() == 1:
        return values.copy()
    grey = (values > DARK) & (values < BRIGHT)
    near = [
        maximum_filter(side, REACH, mode="constant") for side in (values <= DARK, values >= BRIGHT)
    ]
    if grey.mean() > MOST_GREY or (grey & ~(near[0] & near[1])).any():
        raise UserError(
            f"{path} is not a binary mask: it should hold 0 outside and 255 inside, "
            f"found the values {_common_values(values)}"
        )
    return (values >= 128).astype(np.uint8)


def _common_values(values: Pixels, most: int = 8) -> str:
    """The most frequent values, in increasing order, for a message."""
    counts = Counter(values.ravel().tolist())
    named = ", ".join(str(value) for value in sorted(dict(counts.most_common(most))))
    return named if len(counts) <= most else f"{named} and {len(counts) - most} others"
