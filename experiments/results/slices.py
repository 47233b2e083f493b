"""Slices of volumes with the outlines of masks, drawn to scale."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from experiments.results.figures import STYLE

__all__ = ["Contour", "Slice", "slice_row"]

_HEIGHT = 3.0
_LETTERS = "#E69F00"
# Left, right, top, bottom: the place in the axes, and the part of the letter that is put there.
_EDGES = (
    (0.01, 0.5, "left", "center"),
    (0.99, 0.5, "right", "center"),
    (0.5, 0.99, "center", "top"),
    (0.5, 0.01, "center", "bottom"),
)


@dataclass(frozen=True, eq=False)
class Contour:
    """The outline of a mask (H, W) in a slice of the same size; equal labels share a legend."""

    label: str
    mask: NDArray[np.bool_]
    colour: str
    dashed: bool = False

    @property
    def style(self) -> dict[str, Any]:
        """How the line is drawn."""
        return {"linestyle": "--" if self.dashed else "-", "color": self.colour}


@dataclass(frozen=True, eq=False)
class Slice:
    """A picture (H, W) in [0, 1] of a slice of a volume.

    Attributes:
        title: above it.
        picture: row 0 is at the top.
        spacing: of the rows and of the columns, in millimetres.
        directions: the letters at the left, the right, the top and the bottom edge.
        contours: drawn over it.
    """

    title: str
    picture: NDArray[np.floating]
    spacing: tuple[float, float]
    directions: tuple[str, str, str, str]
    contours: Sequence[Contour]

    @property
    def size(self) -> tuple[float, float]:
        """Height and width in millimetres."""
        height, width = self.picture.shape
        return height * self.spacing[0], width * self.spacing[1]


def slice_row(slices: Sequence[Slice], title: str) -> Figure:
    """Slices side by side, of equal height, with their outlines, directions and a legend.

    Raises:
        ValueError: there are no slices, or an outline has another size than its slice.
    """
    if not slices:
        raise ValueError("there are no slices to show")
    widths = [one.size[1] / one.size[0] for one in slices]
    with mpl.rc_context(STYLE | {"axes.grid": False}):
        size = (_HEIGHT * sum(widths) + 0.5, _HEIGHT + 0.9)
        figure = Figure(figsize=size, layout="constrained", dpi=110)
        FigureCanvasAgg(figure)
        row = figure.subplots(1, len(slices), squeeze=False, width_ratios=widths)[0]
        for axes, one in zip(row, slices, strict=True):
            _draw(axes, one)
        figure.suptitle(title, fontsize=10)
        known = {contour.label: contour for one in slices for contour in one.contours}
        lines = [Line2D([], [], label=label, **c.style) for label, c in known.items()]
        if lines:
            figure.legend(handles=lines, loc="outside lower center", ncols=len(lines), fontsize=9)
        return figure


def _draw(axes: Axes, one: Slice) -> None:
    axes.imshow(one.picture, cmap="gray", vmin=0, vmax=1, aspect=one.spacing[0] / one.spacing[1])
    for contour in one.contours:
        if contour.mask.shape != one.picture.shape:
            raise ValueError(
                f"the outline {contour.label!r} of a mask {contour.mask.shape} does not fit a "
                f"slice {one.picture.shape}"
            )
        if contour.mask.any():
            # An edge of zeros closes the outlines that reach the border of the picture.
            mask = np.pad(contour.mask.astype(float), 1)
            rows, columns = (np.arange(-1, length - 1) for length in mask.shape)
            style: dict[str, Any] = {f"{k}s": [value] for k, value in contour.style.items()}
            axes.contour(columns, rows, mask, [0.5], linewidths=1.3, **style)
    for letter, (x, y, side, level) in zip(one.directions, _EDGES, strict=True):
        place: dict[str, Any] = {"transform": axes.transAxes, "ha": side, "va": level}
        axes.text(x, y, letter, color=_LETTERS, fontsize=9, **place)
    axes.set_title(one.title, fontsize=9)
    axes.set_axis_off()
