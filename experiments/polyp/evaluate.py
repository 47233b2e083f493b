"""Evaluation of a trained network on the test images of its run, upright and turned.

The protocols in the table of results are "upright", the images as they are, and "rotation", see
`experiments.polyp.rotation`; for the files see `experiments.results.evaluation`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch

from experiments.command_line.options import Options, check_at_least
from experiments.common.errors import UserError
from experiments.common.inference import probabilities
from experiments.polyp.pictures import picture
from experiments.polyp.rotation import angles_of, measure_rotation
from experiments.polyp.train import POLYP
from experiments.results.evaluation import Measured, TrainedRun, evaluate
from experiments.results.metrics import scores
from experiments.results.table import rows_of

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
        check_at_least("rotation_images", self.rotation_images, 0)
        try:
            angles_of(self.angle_step)
        except ValueError as error:
            raise UserError(f"--angle_step: {error}") from None


def evaluate_run(
    run: Path | str, options: EvaluationOptions = EvaluationOptions()
) -> dict[str, Any]:
    """Evaluates a finished run and writes the results, see `experiments.results.evaluation`."""
    return evaluate(POLYP, BASE, measure, run, options)


def measure(trained: TrainedRun, options: EvaluationOptions) -> Measured:
    """The test images as they are, and turned."""
    network, test = trained.network, trained.data.dataset_for("test")
    items: list[Any] = [test[index] for index in range(len(test))]
    images, truths = (
        torch.stack([item[key] for item in items]).to(trained.device) for key in ("image", "mask")
    )
    names, regions = list(test.names), trained.data.regions
    upright = rows_of(
        scores(probabilities(network, images), truths),
        names,
        regions,
        **BASE,
        present=truths.flatten(2).any(2),
    )
    first = slice(options.rotation_images or None)
    turned, frames = measure_rotation(
        network,
        images[first],
        truths[first],
        names[first],
        regions,
        angles_of(options.angle_step),
        options.corners,
    )

    def shown(name: str) -> bytes:
        index = names.index(name)
        return picture(network, images[index], truths[index], options.corners)

    return Measured(
        table=pd.concat([upright, turned], ignore_index=True),
        frames=frames,
        picture=shown,
        costed=images[:4],
        settings={"corners": options.corners},
    )
