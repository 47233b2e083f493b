"""The report of the tumour study: one HTML page, and a JSON file with every number on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiments.common.findings import with_spread
from experiments.common.page import Page, lead_of, write_page
from experiments.common.repeat import commands, how_to_repeat
from experiments.common.sections import accuracy, costs, pictures
from experiments.tumour.comparison import METRICS, compare, load_runs
from experiments.tumour.evaluate import EvaluationOptions
from experiments.tumour.findings import headline, sentences
from experiments.tumour.sections import equivariance, regions, scales, training_cases
from experiments.tumour.train import TrainOptions

__all__ = ["write_report"]

ACCURACY = (
    "Overlap of the outline with the true mask at scale 1, one point for each test case, of the "
    "networks trained on the most cases. A region that is truly empty and left empty counts 1."
)
LEGEND = (
    "Slices through the tumour where it is largest: axial, coronal and sagittal, in radiological "
    "orientation. Solid lines are the true outlines, dashed ones those of the network."
)


def write_report(
    run_dirs: Sequence[Path | str], out: Path | str, command: str | None = None
) -> Path:
    """Writes `out/report.html`, which needs no other file, and `out/report.json`.

    Args:
        run_dirs: evaluated runs on the same data; those that differ in the seed alone are shown as
            one network, and those that differ in the number of training cases as a curve.
        out: the folder.
        command: what to type to repeat all of it, if it was one command.

    Returns:
        The path of the page.

    Raises:
        UserError: a run has no complete evaluation, or the runs do not compare.
    """
    runs = load_runs(run_dirs)
    series = compare(runs)
    networks = [one.most_cases for one in series]
    typed = command or commands("tumour", TrainOptions, EvaluationOptions, runs, Path(out))
    config = runs[0].evaluation["config"]
    outlined = " and ".join(runs[0].measured["scales"]["regions"])
    far = min(networks[0].scales)
    page = Page(
        title="Scale-equivariant brain-tumour segmentation",
        lead=lead_of(len(series), runs[0], f"cases at {config['spacing']:g} mm, {outlined} tumour"),
        findings=[headline(series), *sentences(series)],
        cards=[
            (
                network.label,
                with_spread(network.at(far, "resampled")),
                f"Dice at scale {far:g}; {with_spread(network.at(1.0, 'resampled'))} at scale 1, "
                f"{network.trained_on} training cases",
            )
            for network in networks
        ],
        sections=[
            *training_cases(series),
            scales(series),
            *regions(series),
            equivariance(series),
            accuracy(networks, {"dice": "Dice coefficient"}, ACCURACY),
            costs(networks, METRICS, "volume"),
            pictures(networks, LEGEND, _described),
            how_to_repeat(runs, typed, "cases"),
        ],
        typed=typed,
        numbers={
            "scales": networks[0].scales,
            "networks": [member.numbers() for one in series for member in one.members],
        },
    )
    return write_page(out, page, runs)


def _described(name: str, why: str, label: str) -> str:
    return (
        f"Test case {name} ({why}) for {label}: an axial, a coronal and a sagittal slice with the "
        "true and the predicted outlines."
    )
