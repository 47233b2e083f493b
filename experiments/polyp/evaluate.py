"""Evaluation of a trained network on the test images of its run, upright and turned.

The protocols in the table of results are "upright", the images as they are, and "rotation", see
`experiments.polyp.rotation`; for the files see `experiments.results.evaluation`.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from rich.progress import Progress
from torch import stack

from experiments.command_line.options import Options, check_at_least
from experiments.common.errors import UserError
from experiments.common.inference import probabilities
from experiments.polyp.pictures import picture
from experiments.polyp.rotation import angles_of, measure_rotation
from experiments.polyp.train import POLYP
from experiments.results.evaluation import TrainedRun, choose_by_score, write_evaluation
from experiments.results.metrics import scores
from experiments.results.statistics import case_means
from experiments.results.table import rows_of

__all__ = ["BASE", "EvaluationOptions", "evaluate_run"]

BASE: dict[str, Any] = {"protocol": "upright", "at": 0.0}
"""Where the headline scores stand in the table of results."""


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions(Options):
    """How a network is evaluated."""

    angle_step: float = 15.0
    """degrees between the angles of the equivariance curve; divides 90"""
    corners: Literal["hide", "keep"] = "hide"
    """when turning, hide what is outside the inscribed disc from the network, or keep the square"""
    rotation_images: int = 0
    """turn only this many test images, the first ones; 0 = all"""
    device: str = "auto"
    """cpu, cuda, cuda:1, ... or auto: the best there is"""

    def check(self) -> None:
        """Raises `UserError` for a value out of range."""
        check_at_least("rotation_images", self.rotation_images, 0)
        try:
            angles_of(self.angle_step)
        except ValueError as error:
            raise UserError(f"--angle_step: {error}") from None


def evaluate_run(
    run: Path | str, options: EvaluationOptions = EvaluationOptions(), batch_size: int = 16
) -> dict[str, Any]:
    """Evaluates the best checkpoint of a run on its test images and writes the results.

    Returns:
        The content of `evaluation.json`.

    Raises:
        UserError: the run is not finished, its data has changed, or something cannot be written.
    """
    trained = TrainedRun.open(POLYP, run, options.device)
    network, test = trained.network, trained.data.dataset_for("test")
    items: list[Any] = [test[index] for index in range(len(test))]
    if not items:
        raise UserError("the test part of the data is empty; use more samples")
    names = [item["name"] for item in items]
    images, truths = (stack([i[k] for i in items]).to(trained.device) for k in ("image", "mask"))
    regions = list(getattr(trained.data, "regions", ("foreground",)))

    present = truths.flatten(2).any(2)
    values = scores(probabilities(network, images, batch_size), truths)
    upright = rows_of(values, names, regions, **BASE, present=present)
    count, angles = options.rotation_images or len(images), angles_of(options.angle_step)
    with Progress(transient=True, disable=not sys.stdout.isatty()) as progress:
        bar = progress.add_task(
            f"turning the test images ({trained.config['network']})", total=len(angles)
        )
        turned, frames = measure_rotation(
            network,
            images[:count],
            truths[:count],
            names[:count],
            regions,
            angles,
            options.corners,
            batch_size,
            lambda: progress.advance(bar),
        )
    pictures = {
        name: (why, picture(network, images[i], truths[i], options.corners))
        for name, why in choose_pictures(upright, turned).items()
        for i in [names.index(name)]
    }
    about = {
        "regions": regions,
        "settings": {"corners": options.corners},
        "cost": trained.cost(images[: min(4, len(images))]),
    }
    table = pd.concat([upright, turned], ignore_index=True)
    return write_evaluation(trained, options, table, BASE, pictures, frames, about)


def choose_pictures(upright: pd.DataFrame, turned: pd.DataFrame) -> dict[str, list[str]]:
    """Names of the images to show, each with the reasons: by Dice, and by how they turn."""
    reasons = choose_by_score(upright[upright["metric"] == "dice"])
    agreement = case_means(turned[turned["metric"] == "agreement"])
    if len(agreement):
        reasons.setdefault(str(agreement.idxmin()), []).append("turns worst")
    return reasons
