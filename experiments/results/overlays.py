"""Images and volumes with the outlines of what is there and of what was found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from experiments.results.figures import COLOURS, STYLE, outline, panels, png_bytes

PREDICTION = (0.0, 0.45, 0.7)

# Radiological display: the patient's right is on the left, anterior and superior are up. Letters at
# the left, right, upper and lower edge.
_VIEWS = (("axial", "RLAP"), ("coronal", "RLSI"), ("sagittal", "APSI"))
_EDGES = (
    (0.01, 0.5, "left", "center"),
    (0.99, 0.5, "right", "center"),
    (0.5, 0.99, "center", "top"),
    (0.5, 0.01, "center", "bottom"),
)
_SHOWN_BEST = ("flair", "t2", "t1ce")
"""Modalities that show the whole of a brain tumour best, in that order."""

_HEIGHT = 3.0  # inches of each slice
_DARKEST, _BRIGHTEST = 0.5, 99.5


def shown_best(modalities: Sequence[str]) -> int:
    """The number of the modality on which outlines are drawn."""
    return next((modalities.index(name) for name in _SHOWN_BEST if name in modalities), 0)


def tinted(
    image: NDArray[np.floating],
    mask: NDArray[np.bool_],
    colour: tuple[float, float, float] = PREDICTION,
    width: int = 1,
) -> NDArray[np.floating]:
    """An image (H, W, 3) in [0, 1] under a mask (H, W): a tint, and an outline `width` wide."""
    result: NDArray[np.floating] = image.copy()
    result[mask] = 0.65 * result[mask] + 0.35 * np.asarray(colour)
    result[outline(mask, width)] = colour
    return result


def image_overlay(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """An image (H, W, 3) under a mask (H, W), at its own size; says so if that is empty."""
    width = max(1, round(min(mask.shape) / 200))
    picture: NDArray[np.uint8] = np.rint(255 * tinted(image / 255, mask, width=width)).astype("u1")
    if mask.any():
        return picture
    drawn = Image.fromarray(picture)
    font = ImageFont.load_default(max(8, min(mask.shape) / 14))
    ImageDraw.Draw(drawn).text(
        (4, 4), "nothing found", (255, 255, 255), font, stroke_width=2, stroke_fill=(0, 0, 0)
    )
    return np.array(drawn)


def overlay(
    image: NDArray[np.floating],
    truth: NDArray[Any] | None,
    found: NDArray[Any],
    regions: Sequence[str],
    spacing: Sequence[float],
    title: str,
) -> bytes:
    """A PNG with an axial, a coronal and a sagittal slice, drawn to scale.

    Each slice is the one that the first region covers most of. The image (D, H, W), whose axes run
    to superior, posterior and left, is one channel; masks (R, D, H, W) are 0 and 1, drawn as solid
    lines where they are true and known, and dashed where they were found. The title says of which
    regions nothing was.
    """
    missing = [name for name, mask in zip(regions, found, strict=True) if not mask.any()]
    if missing:
        title += ": nothing found" + f" of {', '.join(missing)}" * (len(missing) < len(regions))
    drawn = [("found", found)] if truth is None else [("true", truth), ("found", found)]
    outlines = [
        (
            masks[number] > 0,
            COLOURS[2 * number + (what == "found") if len(regions) == 1 else number],
            "--" if what == "found" else "-",
            f"{region}, {what}",
        )
        for number, region in enumerate(regions)
        for what, masks in drawn
    ]
    sections = largest_section(next((m[0] for _, m in drawn if m[0].any()), found[0]))
    depth, height, width = np.multiply(image.shape, spacing)
    ratios = np.clip([width / height, width / depth, height / depth], 0.2, 5)
    shown = _contrast(image)
    with mpl.rc_context(STYLE | {"axes.grid": False}):
        size = (_HEIGHT * float(ratios.sum()) + 0.5, _HEIGHT + 0.9)
        figure, row = panels(3, *size, width_ratios=ratios)
        for axis, (axes, index) in enumerate(zip(row, sections, strict=True)):
            name, letters = _VIEWS[axis]
            rows, columns = (step for other, step in enumerate(spacing) if other != axis)
            plane = planes(shown, axis, index)
            axes.imshow(plane, cmap="gray", vmin=0, vmax=1, aspect=rows / columns)
            axes.autoscale(False)
            for mask, colour, style, _ in outlines:
                inside = planes(mask, axis, index)
                if inside.any():
                    # An edge of zeros closes the outlines that reach the border of the picture.
                    at = [np.arange(-1, length + 1) for length in inside.shape[::-1]]
                    look: Any = {"colors": [colour], "linestyles": [style], "linewidths": 1.3}
                    axes.contour(*at, np.pad(inside.astype(float), 1), [0.5], **look)
            for letter, (x, y, side, level) in zip(letters, _EDGES, strict=True):
                place: dict[str, Any] = {"transform": axes.transAxes, "ha": side, "va": level}
                axes.text(x, y, letter, color=COLOURS[4], fontsize=9, **place)
            axes.set_title(f"{name}, slice {index + 1} of {image.shape[axis]}", fontsize=9)
            axes.set_axis_off()
        figure.suptitle(title, fontsize=10)
        looks: list[Any] = [{"color": c, "linestyle": s, "label": k} for _, c, s, k in outlines]
        legend = [Line2D([], [], **look) for look in looks]
        figure.legend(handles=legend, loc="outside lower center", ncols=len(legend), fontsize=9)
    return png_bytes(figure)


def largest_section(mask: NDArray[Any]) -> tuple[int, ...]:
    """Of each axis the slice with the most voxels of a mask (D, H, W); the middle one if empty."""
    if not mask.any():
        return tuple(length // 2 for length in mask.shape)
    others = ((1, 2), (0, 2), (0, 1))
    return tuple(int((mask > 0).sum(axis=axes).argmax()) for axes in others)


def planes(volume: NDArray[Any], axis: int, index: int) -> NDArray[Any]:
    """One slice of a volume (D, H, W) as it is displayed, superior or else anterior at the top."""
    one: NDArray[Any] = np.take(volume, index, axis)
    return one if axis == 0 else one[::-1]


def _contrast(image: NDArray[np.floating]) -> NDArray[np.floating]:
    """The image from 0 to 1; what is outside the patient stays black."""
    inside = image[image != 0]
    low, high = np.percentile(inside, [_DARKEST, _BRIGHTEST]) if inside.size else (0, 1)
    shown: NDArray[np.floating] = np.clip((image - low) / max(high - low, 1e-6), 0, 1)
    return np.where(image != 0, shown, 0)
