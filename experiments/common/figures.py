"""Figures of the reports: box plots, curves with shaded quartiles, rows of pictures.

Colours are those of Okabe and Ito ("Color universal design", 2008), told apart with every common
form of colour blindness; each series has a line style and a marker of its own besides, so that a
figure survives a grey print. Figures are drawn without pyplot: no global state, no display.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from experiments.common.metrics import Summary

__all__ = [
    "COLOURS",
    "STYLE",
    "Curve",
    "box_plots",
    "curve_plot",
    "outline",
    "picture_row",
    "png_bytes",
    "svg_bytes",
]

COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5C00", "#444444")
_STYLES = ("-", "--", "-.", (0, (4, 1.5, 1, 1.5, 1, 1.5)), (0, (7, 2)), ":", (0, (1, 1)), "-")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_NEUTRAL = "#667085"
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#98A2B3",
    "axes.labelcolor": "#344054",
    "text.color": "#1D2939",
    "xtick.color": "#475467",
    "ytick.color": "#475467",
    "axes.grid": True,
    "grid.color": "#EAECF0",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "report",
}
"""How all figures look, for `matplotlib.rc_context`."""


@dataclass(frozen=True)
class Curve:
    """One line of `curve_plot`: y over x, with an optional band from `low` to `high`.

    A `neutral` curve is grey and dotted: a bound or a control, not one of the things compared.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float | None]
    low: Sequence[float | None] | None = None
    high: Sequence[float | None] | None = None
    neutral: bool = False


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes: Axes = figure.subplots()
    return figure, axes


def _numbers(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def curve_plot(
    curves: Sequence[Curve],
    x_label: str,
    y_label: str,
    x_ticks: Sequence[float],
) -> Figure:
    """Curves over a common x axis; missing points (None) leave gaps."""
    if not curves:
        raise ValueError("there are no curves to draw")
    with mpl.rc_context(STYLE):
        figure, axes = _figure(8.4, 3.9)
        compared = 0
        for curve in curves:
            colour, marker = _NEUTRAL, ""
            style: Any = ":"
            if not curve.neutral:
                index = compared % len(COLOURS)
                colour, style, marker = COLOURS[index], _STYLES[index], _MARKERS[index]
                compared += 1
            axes.plot(
                curve.x,
                _numbers(curve.y),
                color=colour,
                linestyle=style,
                marker=marker,
                markersize=4,
                linewidth=1.6 if curve.neutral else 2,
                label=curve.label,
                zorder=2 if curve.neutral else 3,
            )
            if curve.low is not None and curve.high is not None:
                low, high = _numbers(curve.low), _numbers(curve.high)
                axes.fill_between(curve.x, low, high, color=colour, alpha=0.11, linewidth=0)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.margins(x=0.01)
        axes.set_xticks(list(x_ticks))
        # About 100 letters fit beside each other, and the sample of a line takes six of them.
        longest = max(len(curve.label) for curve in curves)
        figure.legend(loc="outside upper center", ncols=max(1, min(4, 100 // (longest + 6))))
        return figure


def box_plots(groups: Mapping[str, Summary], values: Mapping[str, ArrayLike], label: str) -> Figure:
    """A box of each group beside its single cases; those below the lower fence ringed and counted.

    The box spans the quartiles, the line is the median, the diamond the mean, and the whiskers end
    at the last cases within 1.5 box lengths.

    Args:
        groups: the summaries, by the names under the boxes.
        values: the cases of each group.
        label: of the value axis.

    Raises:
        ValueError: there are no groups, or the two have other names.
    """
    if not groups or set(groups) != set(values):
        raise ValueError(f"boxes for {sorted(groups)}, values for {sorted(values)}; need the same")
    names = list(groups)
    with mpl.rc_context(STYLE):
        figure, axes = _figure(max(4.2, 1.6 + 1.5 * len(names)), 4.1)
        data = [np.asarray(values[name], dtype=float) for name in names]
        boxes = axes.boxplot(
            data,
            widths=0.42,
            showmeans=True,
            showfliers=False,
            patch_artist=True,
            medianprops={"color": "#1D2939", "linewidth": 1.8},
            meanprops={"marker": "D", "markerfacecolor": "white", "markeredgecolor": "#1D2939"},
            whiskerprops={"color": "#667085"},
            capprops={"color": "#667085"},
        )
        for index, (name, cases, box) in enumerate(zip(names, data, boxes["boxes"], strict=True)):
            colour = COLOURS[index % len(COLOURS)]
            box.set(facecolor=colour, alpha=0.35, edgecolor=colour)
            # A fixed scatter, so that the same numbers always give the same picture.
            spread = np.random.default_rng(index).uniform(-0.13, 0.13, len(cases))
            below = cases < groups[name].fence
            axes.scatter(
                index + 1 + spread[~below], cases[~below], s=9, color=colour, alpha=0.55, zorder=3
            )
            axes.scatter(
                index + 1 + spread[below],
                cases[below],
                s=34,
                facecolor="white",
                edgecolor=colour,
                linewidth=1.6,
                zorder=4,
            )
        axes.set_xticks(range(1, len(names) + 1))
        axes.set_xticklabels(
            [f"{name}\n{_count(len(groups[name].outliers))}" for name in names], linespacing=1.5
        )
        axes.set_ylabel(label)
        axes.grid(axis="x", visible=False)
        return figure


def _count(outliers: int) -> str:
    return f"{outliers or 'no'} outlier{'' if outliers == 1 else 's'}"


def picture_row(panels: Sequence[tuple[str, NDArray[np.floating]]]) -> Figure:
    """Pictures side by side with a title each: arrays (H, W, 3) or (H, W) in [0, 1]."""
    if not panels:
        raise ValueError("there are no pictures to show")
    with mpl.rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=(1.75 * len(panels), 2.0), layout="constrained", dpi=110)
        FigureCanvasAgg(figure)
        row = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, (title, picture) in zip(row, panels, strict=True):
            axes.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axes.set_title(title, fontsize=9)
            axes.set_axis_off()
        return figure


def outline(mask: NDArray[np.bool_], width: int = 1) -> NDArray[np.bool_]:
    """The pixels of a mask (H, W) at most `width` steps along the grid from its outside."""
    inner = mask
    for _ in range(width):
        padded = np.pad(inner, 1)
        inner = inner & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    edge: NDArray[np.bool_] = mask & ~inner
    return edge


def svg_bytes(figure: Figure) -> bytes:
    """The figure as SVG, without a date, so that equal figures are equal files."""
    buffer = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    return buffer.getvalue()


def png_bytes(figure: Figure) -> bytes:
    """The figure as PNG at its own resolution."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=figure.dpi)
    return buffer.getvalue()
