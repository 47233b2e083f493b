"""Draw the picture of the README from the runs of a study.

    python -m scripts.picture runs/demo/{plain,p4,steerable_8}-seed0

Left: a test image turned, with the masks of the first and the last network. Right: how well the
mask turns with the image at every angle, the mean over the test images. The image is the median
one: under the first network, half of the others change more when they are turned.
"""

import argparse
import io
from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from PIL import Image
from torch import Tensor

from experiments.common.figures import COLOURS, outline, png_bytes
from experiments.common.files import write_atomically
from experiments.common.metrics import dice
from experiments.polyp.comparison import Comparand, compare, load_runs
from experiments.polyp.pictures import tinted
from experiments.polyp.rotation import inscribed_disc, predict_turned, turn, turn_mask
from experiments.polyp.train import open_data
from experiments.running.checkpoints import load_network

ANGLES = (0, 45, 90, 225)
PREDICTION = (0.0, 0.45, 0.7)
EXPECTED = (1.0, 0.85, 0.0)


def median_image(network: Comparand) -> str:
    """The test image whose mean agreement over the angles is the median one."""
    rotation = network.rotations[0]
    values = np.array(rotation["values"]["agreement"], dtype=float)
    means = np.nanmean(values, axis=0)
    return str(rotation["images"][int(np.argsort(means)[len(means) // 2])])


def turned_panel(run: Path, image: Tensor, angle: float) -> tuple[np.ndarray, float]:
    """The turned image with the mask of the network and the outline of the expected one.

    Returns the picture (S, S, 3) and the Dice coefficient of the two masks inside the disc.
    """
    network, _ = load_network(run)
    disc = inscribed_disc(image.shape[-1])
    upright = predict_turned(network, image, 0)
    found = (predict_turned(network, image, angle) > 0.5).float() * disc
    expected = turn_mask(upright, angle) * disc
    pixels = turn(image, angle)[0].movedim(0, -1).double().numpy()
    picture = tinted(pixels, found[0, 0].bool().numpy(), PREDICTION)
    picture[outline(expected[0, 0].bool().numpy())] = EXPECTED
    picture[~disc.numpy()] = 1
    return picture, float(dice(found, expected))


def draw_images(figure: SubFigure, networks: list[Comparand], image: Tensor) -> None:
    """One row for each network, one column for each of `ANGLES`."""
    panels = figure.subplots(len(networks), len(ANGLES), squeeze=False)
    for network, row in zip(networks, panels, strict=True):
        for angle, axes in zip(ANGLES, row, strict=True):
            picture, agreement = turned_panel(network.runs[0].path, image, angle)
            axes.imshow(picture, interpolation="nearest")
            axes.set_title(f"{angle}°: {agreement:.2f}", fontsize=9)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        row[0].set_ylabel(network.label, fontsize=10)


def draw_curves(figure: SubFigure, networks: list[Comparand]) -> None:
    """Mean agreement against the angle, one line for each network."""
    axes = figure.subplots()
    for network, colour in zip(networks, COLOURS, strict=False):
        points = network.curve("agreement")
        angles = [*network.rotations[0]["angles"], 360]
        axes.plot(angles, [point["mean"] for point in points], color=colour, label=network.label)
    axes.set(xticks=range(0, 361, 90), xlabel="the image is turned by (degrees)")
    axes.set_ylabel("agreement of the masks (Dice)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#EAECF0")
    figure.legend(loc="outside upper center", ncols=len(networks), frameon=False, fontsize=9)


def small_png(figure: Figure) -> bytes:
    """The figure as PNG with 128 colours, a third of the full size: it lives in the repository."""
    buffer = io.BytesIO()
    picture = Image.open(io.BytesIO(png_bytes(figure))).convert("RGB")
    picture.quantize(128, dither=Image.Dither.NONE).save(buffer, "png", optimize=True)
    return buffer.getvalue()


@torch.no_grad()
def main() -> None:
    """Read the runs, write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, help="evaluated runs on the same data")
    parser.add_argument("--out", type=Path, default=Path("docs/images/rotation.png"))
    options = parser.parse_args()

    networks = compare(load_runs(options.runs))
    name = median_image(networks[0])
    test = open_data(dict(networks[0].runs[0].evaluation["config"])).dataset_for("test")
    image = next(item["image"] for item in test if item["name"] == name)[None]

    figure = Figure(figsize=(10, 3.3), layout="constrained", dpi=100)
    FigureCanvasAgg(figure)
    left, right = figure.subfigures(1, 2, width_ratios=(1.35, 1))
    draw_images(left, [networks[0], networks[-1]], image)
    draw_curves(right, networks)
    write_atomically(options.out, small_png(figure))
    print(f"{options.out}: image {name}")


if __name__ == "__main__":
    main()
