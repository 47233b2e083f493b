"""The report of the polyp study: one HTML page, and a JSON file with every number on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiments.common.findings import fixed, with_spread
from experiments.common.page import Page, lead_of, write_page
from experiments.common.repeat import commands, how_to_repeat
from experiments.common.sections import accuracy, costs, pictures
from experiments.polyp.comparison import METRICS, compare, load_runs
from experiments.polyp.evaluate import EvaluationOptions
from experiments.polyp.findings import headline, sentences
from experiments.polyp.sections import equivariance
from experiments.polyp.train import TrainOptions

__all__ = ["write_report"]

ACCURACY = (
    "Overlap with the true mask on the upright test images, one point each. An image whose true "
    "and predicted masks are both empty counts 1."
)
LEGEND = (
    "Green: the true mask. Blue: the mask of the upright image. Orange: the mask of the turned "
    "image, turned back. In the change, grey is in both masks, blue only in the upright one, "
    "orange only in the turned one: an equivariant network leaves neither."
)


def write_report(
    run_dirs: Sequence[Path | str], out: Path | str, command: str | None = None
) -> Path:
    """Writes `out/report.html`, which needs no other file, and `out/report.json`.

    Args:
        run_dirs: evaluated runs on the same data; those that differ in the seed alone are shown as
            one network.
        out: the folder.
        command: what to type to repeat all of it, if it was one command.

    Returns:
        The path of the page.

    Raises:
        UserError: a run has no complete evaluation, or the runs do not compare.
    """
    runs = load_runs(run_dirs)
    networks = compare(runs)
    typed = command or commands("polyp", TrainOptions, EvaluationOptions, runs, Path(out))
    size = runs[0].evaluation["config"]["size"]
    page = Page(
        title="Rotation-equivariant polyp segmentation",
        lead=lead_of(len(networks), runs[0], f"images of {size} × {size} pixels"),
        findings=[headline(networks), *sentences(networks)],
        cards=[
            (
                network.label,
                fixed(network.turned("agreement", "turned")["mean"]),
                "agreement when turned, mean over all angles; "
                f"Dice {with_spread(network.score('dice'))}",
            )
            for network in networks
        ],
        sections=[
            equivariance(networks),
            accuracy(
                networks, {"dice": "Dice coefficient", "iou": "Intersection over union"}, ACCURACY
            ),
            costs(networks, METRICS, "image"),
            pictures(networks, LEGEND, _described),
            how_to_repeat([run for network in networks for run in network.runs], typed, "images"),
        ],
        typed=typed,
        numbers={
            "angles": networks[0].angles,
            "networks": [network.numbers() for network in networks],
        },
    )
    return write_page(out, page, runs)


def _described(name: str, why: str, label: str) -> str:
    return (
        f"Test image {name} ({why}) for {label}: the image, the true mask, the predicted mask, "
        "the masks of the turned images turned back, and what changes."
    )
