"""Draw the plots of a tumour study for the documentation, and print its tables in Markdown.

    python -m scripts.tumour_plots runs/lgg/*seed* --out docs/images/lgg.png

One plot for every number of training cases: Dice of the resampled test volumes against their scale,
the band one standard deviation over the seeds to both sides. No image of the data is shown.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from experiments.common.figures import COLOURS
from experiments.common.files import write_atomically
from experiments.tumour.comparison import Comparand, Point, Series, compare, load_runs
from scripts.picture import small_png


def draw(axes: Axes, series: Sequence[Series], count: int) -> None:
    """Dice against scale of the networks trained on so many cases."""
    for one, colour in zip(series, COLOURS, strict=False):
        for member in (m for m in one.members if m.trained_on == count):
            points = [(mean or 0.0, std or 0.0) for mean, std in member.curve("resampled", "dice")]
            low, high = ([mean + sign * std for mean, std in points] for sign in (-1, 1))
            axes.plot(member.scales, [mean for mean, _ in points], color=colour, label=one.label)
            axes.fill_between(member.scales, low, high, color=colour, alpha=0.12, linewidth=0)
    axes.set(xticks=series[0].most_cases.scales, xlabel="scale", ylabel="Dice", ylim=(0.2, 0.7))
    axes.set_title(f"{count} training cases", fontsize=10)


def table(members: Sequence[Comparand], protocol: str) -> str:
    """Dice at every scale, and beside it the other measures at scale 1."""
    scales = members[0].scales
    header = ["network", *(f"{scale:g}" for scale in scales), "soft Dice at 1", "HD95 at 1, mm"]
    lines = ["| " + " | ".join(header) + " |", "|---" + "|---:" * (len(header) - 1) + "|"]
    for member in members:
        cells = [_said(point) for point in member.curve(protocol, "dice")]
        cells += [
            _said(member.at(1.0, protocol, "soft_dice")),
            _said(member.at(1.0, protocol, "hausdorff_95"), 0),
        ]
        lines.append("| " + " | ".join([member.label, *cells]) + " |")
    return "\n".join(lines)


def commutation(members: Sequence[Comparand]) -> str:
    """How far the outlines are from scaling with the volume."""
    scales = [scale for scale in members[0].scales if scale != 1]
    header = ["network", *(f"{n} at {s:g}" for n in ("error", "agreement") for s in scales)]
    lines = ["| " + " | ".join(header) + " |", "|---" + "|---:" * (len(header) - 1) + "|"]
    for member in members:
        cells = [
            _said(point)
            for name in ("error", "agreement")
            for scale, point in zip(member.scales, member.commutation(name), strict=True)
            if scale != 1
        ]
        lines.append("| " + " | ".join([member.label, *cells]) + " |")
    return "\n".join(lines)


def _said(point: Point, digits: int = 3) -> str:
    mean, spread = point
    if mean is None:
        return "–"
    text = f"{mean:.{digits}f}".removeprefix("0")
    return text if spread is None else f"{text} ± {spread:.{digits}f}".replace("± 0.", "± .")


def main() -> None:
    """Read the runs, write the plots, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, help="evaluated runs on the same data")
    parser.add_argument("--out", type=Path, required=True, help="PNG file to write")
    options = parser.parse_args()

    series = compare(load_runs(options.runs))
    members = [member for one in series for member in one.members]
    counts = sorted({member.trained_on for member in members})
    figure = Figure(figsize=(3.7 * len(counts), 3.2), layout="constrained", dpi=100)
    FigureCanvasAgg(figure)
    for axes, count in zip(figure.subplots(1, len(counts), squeeze=False)[0], counts, strict=True):
        draw(axes, series, count)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#EAECF0")
    figure.axes[0].legend(frameon=False, fontsize=8)
    write_atomically(options.out, small_png(figure))
    for protocol in ("resampled", "spacing"):
        print(f"\n{protocol}\n\n{table(members, protocol)}")
    print(f"\n{commutation(members)}")


if __name__ == "__main__":
    main()
