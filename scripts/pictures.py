"""Draw the pictures of the documentation from the results of runs, and print their tables.

    python -m scripts.pictures turned runs/demo/{plain,p4,steerable_8}-seed0 --out rotation.png
    python -m scripts.pictures curves runs/kvasir/{plain,p4}-seed0 --out kvasir.png
    python -m scripts.pictures layers runs/tumour/*seed0 --out layers.png

`turned` shows a generated image turned, with the masks of the first and the last network, beside
the curves; `curves` the masks and scores against the angle or scale, in Markdown too; `layers` the
equivariance error after each part of a network. Only `turned` shows an image of the data.
"""

import argparse
import io
from pathlib import Path

import matplotlib as mpl
import torch
from matplotlib.figure import Figure
from PIL import Image

from experiments.common.files import read_json, write_atomically
from experiments.polyp.report import STUDY as POLYP_REPORT
from experiments.polyp.rotation import inscribed_disc, predict_turned, turn, turn_mask
from experiments.polyp.train import POLYP
from experiments.results.figures import STYLE, draw_boxes, draw_curves, outline, panels, png_bytes
from experiments.results.metrics import dice
from experiments.results.overlays import PREDICTION, tinted
from experiments.results.runs import Comparison, load_runs
from experiments.results.statistics import case_means, outliers
from experiments.results.words import with_interval
from experiments.running.checkpoints import load_network
from experiments.tumour.report import STUDY as TUMOUR_REPORT

ANGLES = (0, 45, 90, 225)
EXPECTED = (1.0, 0.85, 0.0)


@torch.no_grad()
def turned(c: Comparison) -> Figure:
    """The median image turned, with the mask of a network and the outline of the expected one."""
    means = case_means(c.rows(network=c.labels[0], metric="agreement")).sort_values()
    test = POLYP.open_data(dict(c.first["config"])).dataset_for("test")
    image = next(i["image"] for i in test if i["name"] == means.index[len(means) // 2])[None]
    disc = inscribed_disc(image.shape[-1])
    figure, axes = panels(2 * len(ANGLES) + 1, 13, 2.4, width_ratios=[1] * 2 * len(ANGLES) + [4])
    shown = [(network, angle) for network in (c.networks[0], c.networks[-1]) for angle in ANGLES]
    for panel, (network, angle) in zip(axes[:-1], shown, strict=True):
        trained, _ = load_network(network.runs[0].path)
        found = (predict_turned(trained, image, angle) > 0.5).float() * disc
        expected = turn_mask(predict_turned(trained, image, 0), angle) * disc
        pixels = turn(image, angle)[0].movedim(0, -1).double().numpy()
        picture = tinted(pixels, found[0, 0].bool().numpy(), PREDICTION)
        picture[outline(expected[0, 0].bool().numpy())] = EXPECTED
        picture[~disc.numpy()] = 1
        panel.imshow(picture, interpolation="nearest")
        panel.set_title(f"{network.label}, {angle}°\nDice {dice(found, expected).item():.2f}")
        panel.set_axis_off()
    draw_curves(axes[-1], c.points(c.labels, "agreement", c.study.commutation))
    axes[-1].set(xlabel="angle in degrees", ylabel="agreement of the masks (Dice)")
    return figure


def curves(c: Comparison) -> Figure:
    """How well masks move with the input, the main score, and its boxes; prints the table."""
    study, way, metric = c.study, c.study.commutation, next(iter(c.study.commutation.metrics))
    figure, (moved, scored, boxes) = panels(3, 11, 3.4)
    draw_curves(moved, c.points(c.labels, metric, way))
    draw_curves(scored, c.points(c.labels, study.main, study.protocols[0]))
    rows = {n: c.rows(network=n, metric=study.main, **study.base) for n in c.labels}
    groups = {label: case_means(values, "run") for label, values in rows.items()}
    draw_boxes(boxes, groups, {k: outliers(v, study.main) for k, v in groups.items()})
    moved.set(xlabel=study.axis, ylabel=metric)
    scored.set(xlabel=study.axis, ylabel=study.metrics[study.main])
    boxes.set(ylabel=study.metrics[study.main])
    for protocol in (*study.protocols, way):
        parts = c.ways(protocol)
        for name in protocol.metrics:
            print(f"\n{protocol.title}: {name}\n\n| network | {' | '.join(parts)} |")
            print("|---" + "|---:" * len(parts) + "|")
            for label in c.labels:
                scores = [with_interval(c.score(label, name, **part)) for part in parts.values()]
                print(f"| {label} | {' | '.join(scores)} |")
    return figure


def layers(c: Comparison) -> Figure:
    """The error after each part of a network, for the nearest and the farthest scaling."""
    rows = c.rows(protocol="layers", metric="error")
    part = rows["case"].str.extract(r"^(\w+)(?:\.(\d+))?").fillna("")
    rows = rows.assign(part=part[0] + " " + part[1].where(part[0].isin(["encoder", "decoder"]), ""))
    figure, axes = panels(2, 10, 3.6, sharey=True)
    for panel, factor in zip(axes, (rows["at"].max(), rows["at"].min()), strict=True):
        last = rows[rows["at"] == factor].groupby(["network", "part"], sort=False)["value"].last()
        points = last.rename("mean").reset_index().rename(columns={"part": "at"})
        draw_curves(panel, points.assign(low=float("nan"), high=float("nan")))
        panel.set(yscale="log", xlabel="", ylabel="error", title=f"scaled by {factor:g}")
        panel.tick_params(axis="x", labelrotation=40)
    return figure


def main() -> None:
    """Read the runs, write the picture, with 128 colours: it lives in the repository."""
    drawings = {"turned": turned, "curves": curves, "layers": layers}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", choices=drawings)
    parser.add_argument("runs", nargs="+", type=Path, help="evaluated runs on the same data")
    parser.add_argument("--out", type=Path, required=True, help="PNG file to write")
    options = parser.parse_args()
    made_by = read_json(options.runs[0] / "evaluation" / "evaluation.json")["study"]
    study = next(one for one in (POLYP_REPORT, TUMOUR_REPORT) if one.name == made_by)
    with mpl.rc_context(STYLE | {"font.size": 8}):
        drawn = png_bytes(drawings[options.picture](load_runs(options.runs, study)))
    buffer, full = io.BytesIO(), Image.open(io.BytesIO(drawn)).convert("RGB")
    full.quantize(128, dither=Image.Dither.NONE).save(buffer, "png", optimize=True)
    write_atomically(options.out, buffer.getvalue())


if __name__ == "__main__":
    main()
