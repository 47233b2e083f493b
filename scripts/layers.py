"""Draw the equivariance error of trained networks, layer by layer, for the documentation.

    python -m scripts.layers runs/tumour-batch/{plain_width,scale_mean}-16cases-none-seed0 \
        runs/tumour/scale_mean-16cases-none-seed0

One panel for the nearest and one for the farthest scaling. The features behind each part of a
network are compared, on smooth blobs that are scaled by their formula.
"""

import argparse
from itertools import groupby
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from experiments.common.figures import COLOURS
from experiments.common.files import read_json, write_atomically
from scripts.picture import small_png


def part_of(row: dict[str, Any]) -> str:
    """The part of the U-Net to which a layer belongs: `encoder 1` for `encoder.0.after.0`."""
    part, *rest = row["name"].split(".")
    return f"{part} {int(rest[0]) + 1}" if part in ("encoder", "decoder", "down", "up") else part


def errors(element: dict[str, Any]) -> dict[str, float]:
    """The error of the features behind each part of a network."""
    return {part: list(rows)[-1]["error"] for part, rows in groupby(element["rows"], part_of)}


def label_of(run: Path) -> str:
    """The network and its normalisation."""
    config = read_json(run / "evaluation" / "evaluation.json")["config"]
    return f"{config['network']}, {config['norm']} norm"


def draw(axes: Axes, runs: list[Path], index: int) -> None:
    """The errors for one scaling, a line for each network."""
    for run, colour in zip(runs, COLOURS, strict=False):
        element = read_json(run / "evaluation" / "layers.json")["elements"][index]
        found = errors(element)
        axes.plot(list(found), list(found.values()), "o-", color=colour, label=label_of(run))
        axes.set_title(f"scaled by {element['factor']:g}", fontsize=10)
    axes.set(yscale="log", ylabel="error of the features")
    axes.tick_params(axis="x", labelrotation=40)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#EAECF0")


def main() -> None:
    """Read the runs, write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, help="evaluated runs of the tumour study")
    parser.add_argument("--out", type=Path, default=Path("docs/images/layers.png"))
    options = parser.parse_args()

    # Scale networks have a part more, and the first network gives the ticks.
    runs = sorted(options.runs, key=lambda run: not run.name.startswith("scale"))
    figure = Figure(figsize=(10, 3.6), layout="constrained", dpi=100)
    FigureCanvasAgg(figure)
    near, far = figure.subplots(1, 2, sharey=True)
    draw(near, runs, 0)
    draw(far, runs, -1)
    handles, labels = near.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper center", ncols=len(runs), frameon=False, fontsize=9
    )
    write_atomically(options.out, small_png(figure))


if __name__ == "__main__":
    main()
