"""Figures of the reports and of the documentation: curves with intervals, box plots, pictures.

Colours are those of Okabe and Ito ("Color universal design", 2008), told apart with every common
form of colour blindness; each series has a line style and a marker of its own besides, so that a
figure survives a grey print. Figures are drawn without pyplot: no global state, no display.
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from experiments.results.words import plural

COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5C00", "#444444")
_STYLES = ("", (4, 1.5), (4, 1.5, 1, 1.5), (4, 1.5, 1, 1.5, 1, 1.5), (7, 2), (1, 1), (7, 2, 1, 2))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
STYLE: dict[Any, Any] = sns.axes_style("whitegrid", {"font.family": "DejaVu Sans"}) | {
    **dict.fromkeys(("axes.spines.top", "axes.spines.right", "legend.frameon"), False),
    **{"grid.color": "#EAECF0", "axes.edgecolor": "#98A2B3", "svg.hashsalt": "report"},
}
"""How all figures look, for `matplotlib.rc_context`."""


def panels(columns: int, width: float, height: float, **options: Any) -> tuple[Figure, list[Axes]]:
    """A figure with axes side by side; sizes in inches."""
    figure = Figure(figsize=(width, height), layout="constrained", dpi=100)
    return figure, list(figure.subplots(1, columns, squeeze=False, **options)[0])


def _looks(names: Iterable[str], kinds: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(dict.fromkeys(names), cycle(kinds), strict=False))


def draw_curves(axes: Axes, points: pd.DataFrame) -> None:
    """Means with their intervals as bands: columns network, at, mean, low and high (or NaN)."""
    names = points["network"]
    # Of low, mean and high the median is the mean, and all that they span is the interval.
    long = points.melt(["network", "at"], ["low", "mean", "high"], value_name="of three")
    look: dict[str, Any] = {
        "palette": _looks(names, COLOURS),
        "dashes": _looks(names, _STYLES),
        "markers": _looks(names, _MARKERS),
        "err_kws": {"alpha": 0.13, "linewidth": 0},
    }
    of: dict[str, Any] = {"x": "at", "y": "of three", "hue": "network", "style": "network"}
    sns.lineplot(long, **of, estimator="median", errorbar=("pi", 100), ax=axes, **look)


def curve_plot(
    points: pd.DataFrame,
    x_label: str,
    y_label: str,
    ticks: Sequence[float],
    bound: pd.Series | None = None,
) -> Figure:
    """Curves under their legend; `bound`, grey and dotted, is not one of the things compared."""
    with mpl.rc_context(STYLE):
        figure, (axes,) = panels(1, 8.4, 3.9)
        draw_curves(axes, points)
        if bound is not None:
            axes.plot(bound.index, bound, color="0.4", linestyle=":", label=bound.name)
        axes.set(xlabel=x_label, ylabel=y_label, xticks=list(ticks))
        axes.margins(x=0.01)
        handles, labels = axes.get_legend_handles_labels()
        if (legend := axes.get_legend()) is not None:
            legend.remove()
        # About 100 letters fit beside each other, and the sample of a line takes six of them.
        columns = max(1, min(4, 100 // (max(map(len, labels)) + 6)))
        figure.legend(handles, labels, loc="outside upper center", ncols=columns)
        return figure


def draw_boxes(axes: Axes, groups: Mapping[str, pd.Series], beyond: Mapping[str, Any]) -> None:
    """A box of each group beside its single values; those `beyond` the fence ringed and counted.

    The box spans the quartiles, the diamond is the mean.
    """
    frame = pd.concat([s.rename("value").to_frame().assign(of=k) for k, s in groups.items()])
    colours = _looks(groups, COLOURS)
    look: dict[str, Any] = {"x": "of", "y": "value", "hue": "of", "palette": colours, "ax": axes}
    mean = {"marker": "D", "markerfacecolor": "white", "markeredgecolor": "0.1"}
    box: dict[str, Any] = {"width": 0.42, "showmeans": True, "meanprops": mean}
    sns.boxplot(frame, **look, **box, showfliers=False, boxprops={"alpha": 0.4})
    sns.stripplot(frame, **look, size=3, alpha=0.55, jitter=False)
    ring: dict[str, Any] = {"s": 40, "facecolor": "white", "linewidth": 1.6, "zorder": 4}
    for name, values in beyond.items():
        axes.scatter([name] * len(values), list(values), edgecolor=colours[name], **ring)
    named = [f"{name}\n{plural(len(beyond[name]), 'outlier')}" for name in groups]
    axes.set_xticks(range(len(groups)), named)
    axes.set_xlabel("")
    axes.grid(axis="x", visible=False)


def box_plots(
    groups: Mapping[str, pd.Series], beyond: Mapping[str, pd.Series], label: str
) -> Figure:
    """One panel of `draw_boxes`."""
    with mpl.rc_context(STYLE):
        figure, (axes,) = panels(1, max(4.2, 1.6 + 1.5 * len(groups)), 4.1)
        draw_boxes(axes, groups, beyond)
        axes.set_ylabel(label)
        return figure


def picture_row(titled: Sequence[tuple[str, NDArray[np.floating]]]) -> Figure:
    """Pictures side by side with a title each: arrays (H, W, 3) or (H, W) in [0, 1]."""
    with mpl.rc_context(STYLE | {"axes.grid": False}):
        figure, row = panels(len(titled), 1.75 * len(titled), 2.0)
        figure.dpi = 110
        for axes, (title, picture) in zip(row, titled, strict=True):
            axes.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axes.set_title(title, fontsize=9)
            axes.set_axis_off()
        return figure


def outline(mask: NDArray[np.bool_], width: int = 1) -> NDArray[np.bool_]:
    """The pixels of a mask (H, W) at most `width` steps along the grid from its outside."""
    edge: NDArray[np.bool_] = mask & ~binary_erosion(mask, iterations=width)
    return edge


def svg_bytes(figure: Figure) -> bytes:
    """The figure as SVG, without a date, so that equal figures are equal files."""
    with mpl.rc_context(STYLE):
        return _saved(figure, format="svg", metadata={"Date": None}, transparent=True)


def png_bytes(figure: Figure) -> bytes:
    """The figure as PNG at its own resolution."""
    return _saved(figure, format="png", dpi=figure.dpi)


def _saved(figure: Figure, **options: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, **options)
    return buffer.getvalue()
