"""Reading images and their masks or labels, checked."""

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

DARK, BRIGHT = 32, 223  # what compression makes of the 0 and 255 of a mask, at most and at least
MOST_GREY = 0.25  # the largest share of a mask that its edges can make grey; a photograph has more

REACH = 17  # pixels around an edge, both sides together, that JPEG's blocks of 8 smear


def open_image(path: Path, whole: bool = True) -> Image.Image:
    """An 8-bit image, not yet turned upright; else only whether it can be read is found out."""
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
        raise UserError(f"{path} has pixels of mode {image.mode}: 8-bit grey or colour is needed")
    return image


def read_image(path: Path) -> Pixels:
    """An image as RGB, upright, (height, width, 3)."""
    return np.asarray(ImageOps.exif_transpose(open_image(path)).convert("RGB"))


def read_pair(case: Case, regions: Sequence[str]) -> Sample:
    """Read an image, of one file or one for each of three colours, and its mask, both upright.

    A mask without table of labels is binary: 0 and 255, as it is or after JPEG compression, or
    exactly 0 and 1. All 0 is allowed.
    """
    file, *others = case.images.values()
    if set(others) <= {file}:
        pixels = read_image(file)
    else:
        channels = [open_image(one).convert("L") for one in (file, *others)]
        pixels = np.stack([np.asarray(channel) for channel in channels], -1)
    image = torch.from_numpy(np.moveaxis(pixels, -1, 0).copy())
    if case.label is None:
        return Sample(case.name, image, None)
    stored = open_image(case.label)
    turned = [one.getexif().get(0x0112, 1) for one in (open_image(file), stored)]
    if turned[0] != turned[1]:
        raise UserError(
            f"{file} is stored turned (EXIF orientation {turned[0]}) but its mask {case.label} is "
            f"not in the same way ({turned[1]}): save both upright"
        )
    mask = ImageOps.exif_transpose(stored)
    if mask.size != pixels.shape[1::-1]:
        raise UserError(
            f"{case.label} is {mask.width}x{mask.height} pixels but its image {file} is "
            f"{pixels.shape[1]}x{pixels.shape[0]}: they should be the same size"
        )
    if mask.mode in ("LA", "PA", "RGBA") and np.asarray(mask.getchannel("A")).min() < 255:
        raise UserError(f"{case.label} is partly transparent: save the mask in grey, 0 and 255")
    if not case.regions:
        return Sample(case.name, image, torch.from_numpy(_binary(mask, case.label))[None])
    # The indices of a palette are the labels, whatever their colours.
    values = np.asarray(mask if mask.mode in ("1", "L", "P") else mask.convert("L"))
    labels = torch.from_numpy(values.astype(np.uint8))
    return Sample(case.name, image, region_masks(labels, case, regions))


def _binary(mask: Image.Image, path: Path) -> Pixels:
    values = np.asarray(mask.convert("L"))
    if values.max() == 1:
        return values.copy()
    dark, bright = values <= DARK, values >= BRIGHT
    grey = ~dark & ~bright
    edge = np.logical_and(*(maximum_filter(s, REACH, mode="constant") for s in (dark, bright)))
    if grey.mean() > MOST_GREY or (grey & ~edge).any():
        counts = Counter(values.ravel().tolist())
        named = ", ".join(str(value) for value in sorted(dict(counts.most_common(8))))
        more = f" and {len(counts) - 8} others" if len(counts) > 8 else ""
        raise UserError(
            f"{path} is not a binary mask: it should hold 0 outside and 255 inside, "
            f"found the values {named}{more}"
        )
    return (values >= 128).astype(np.uint8)
