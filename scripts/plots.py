"""Draw the plots of a study for the documentation, and print its table in Markdown.

    python -m scripts.plots runs/kvasir/{plain,p4}-seed0 --out docs/images/kvasir.png

Left: how well the mask turns with the image, against the angle. Middle: the accuracy on turned
images. Right: Dice of every upright test image. No image of the data is shown.
"""

import argparse
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from experiments.common.figures import COLOURS
from experiments.common.files import write_atomically
from experiments.polyp.comparison import Comparand, compare, load_runs
from scripts.picture import small_png


def draw_curves(axes: Axes, networks: list[Comparand], name: str, title: str) -> None:
    """The mean of one measure over the test images against the angle, with its quartiles."""
    for network, colour in zip(networks, COLOURS, strict=False):
        points = network.curve(name)
        mean, low, high = ([p[key] for p in points] for key in ("mean", "q1", "q3"))
        axes.plot(network.angles, mean, color=colour, label=network.label)
        axes.fill_between(network.angles, low, high, color=colour, alpha=0.12, linewidth=0)
    axes.set(xticks=range(0, 361, 90), xlabel="angle (degrees)", ylabel="Dice", ylim=(0, 1.02))
    axes.set_title(title, fontsize=10)


def draw_control(axes: Axes, networks: list[Comparand]) -> None:
    """What interpolation alone costs: the lowest control of all networks at each angle."""
    controls = [[point["mean"] for point in n.curve("control")] for n in networks]
    lowest = [min(values) for values in zip(*controls, strict=True)]
    axes.plot(networks[0].angles, lowest, color="#667085", linestyle=":", label="control")


def draw_boxes(axes: Axes, networks: list[Comparand]) -> None:
    """Dice of the upright test images; outliers are circles."""
    values = [list(network.cases("dice").values()) for network in networks]
    boxes = axes.boxplot(values, widths=0.6, showmeans=True, patch_artist=True)
    for box, colour in zip(boxes["boxes"], COLOURS, strict=False):
        box.set(facecolor=colour, alpha=0.35)
    labels = [f"{n.label}\n{len(n.summary('dice').outliers)} outliers" for n in networks]
    axes.set_xticks(range(1, len(networks) + 1), labels, fontsize=8)
    axes.set(ylim=(-0.02, 1.02), ylabel="Dice")
    axes.set_title("upright test images", fontsize=10)


def markdown(networks: list[Comparand]) -> str:
    """The main figures, one row for each network."""
    header = (
        "network",
        "parameters",
        "epochs",
        "Dice",
        "IoU",
        "Dice of turned images",
        "agreement at 90°, 180°, 270°",
        "agreement between",
        "control between",
    )
    lines = ["| " + " | ".join(header) + " |", "|---" + "|---:" * (len(header) - 1) + "|"]
    for network in networks:
        evaluation = network.runs[0].evaluation
        figures = (
            network.score("dice")[0],
            network.score("iou")[0],
            network.turned("truth", "turned")["mean"],
            network.turned("agreement", "quarter")["mean"],
            network.turned("agreement", "between")["mean"],
            network.turned("control", "between")["mean"],
        )
        cells = [network.label, f"{evaluation['cost']['parameters']:,}"]
        cells += [str(evaluation["training"]["epochs"]), *(f"{value:.3f}" for value in figures)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Read the runs, write the plots, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, help="evaluated runs on the same data")
    parser.add_argument("--out", type=Path, required=True, help="PNG file to write")
    options = parser.parse_args()

    networks = compare(load_runs(options.runs))
    figure = Figure(figsize=(11, 3.4), layout="constrained", dpi=100)
    FigureCanvasAgg(figure)
    turning, accuracy, boxes = figure.subplots(1, 3)
    draw_control(turning, networks)
    draw_curves(turning, networks, "agreement", "agreement of the masks")
    draw_curves(accuracy, networks, "truth", "accuracy on turned images")
    draw_boxes(boxes, networks)
    for axes in (turning, accuracy, boxes):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#EAECF0")
    turning.legend(frameon=False, fontsize=8, loc="lower right")
    write_atomically(options.out, small_png(figure))
    print(markdown(networks))


if __name__ == "__main__":
    main()
