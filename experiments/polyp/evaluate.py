"""Evaluation of a trained network on the test images of its run.

It adds to the run folder

    evaluation/evaluation.json   Dice and IoU, outliers, cost, what was evaluated and how
    evaluation/rotation.json     the mask against the angle, see `experiments.polyp.rotation`
    evaluation/per_image.csv     one line for each test image
    evaluation/pictures/*.png    the best, the median and the worst image, outliers, and the image
                                 whose mask changes most when it is turned

`evaluation.json` is written last: where it is, the rest is there too.
"""

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.progress import Progress
from torch import Tensor, nn, stack

from experiments.command_line.options import Options, check_at_least
from experiments.common.errors import UserError
from experiments.common.evaluation import (
    TrainedRun,
    choose_by_score,
    picture_file,
    table_of,
    write_evaluation,
)
from experiments.common.metrics import dice, iou, probabilities, summarise
from experiments.polyp.pictures import picture
from experiments.polyp.rotation import RotationStudy, angles_of, rotation_study
from experiments.polyp.train import POLYP

__all__ = ["EvaluationOptions", "evaluate_run"]


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
    network = trained.network
    names, images, truths = _stack(trained.data.dataset_for("test"))
    images, truths = images.to(trained.device), truths.to(trained.device)

    predicted = (probabilities(network, images, batch_size) > 0.5).float()
    scores = {
        "dice": dict(zip(names, dice(predicted, truths).tolist(), strict=True)),
        "iou": dict(zip(names, iou(predicted, truths).tolist(), strict=True)),
    }
    study = _turn_all(
        network, names, images, truths, options, batch_size, trained.config["network"]
    )
    pictures: list[dict[str, Any]] = []
    files: dict[str, str | bytes] = {}
    for name, why in choose_pictures(scores["dice"], study).items():
        index, file = names.index(name), picture_file(name)
        files[file] = picture(network, images[index], truths[index], options.corners)
        pictures.append({"name": name, "reasons": why, "file": file})
    evaluation = trained.record(options) | {
        "scores": {name: summarise(values).to_dict() for name, values in scores.items()},
        "images": [{"name": name} | {key: scores[key][name] for key in scores} for name in names],
        "empty_predictions": int((predicted.flatten(1).sum(1) == 0).sum()),
        "cost": trained.cost(images[: min(4, len(images))]),
        "pictures": pictures,
    }
    files["per_image.csv"] = _table(evaluation["images"], study)
    write_evaluation(trained.folder, evaluation, {"rotation": study.to_dict()}, files)
    return evaluation


def choose_pictures(scores: Mapping[str, float], study: RotationStudy) -> dict[str, list[str]]:
    """Names of the images to show, each with the reasons: by Dice, and by how they turn."""
    reasons = choose_by_score(scores)
    agreement = study.agreement.nanmean(0).nan_to_num(nan=2.0)
    reasons.setdefault(study.names[int(agreement.argmin())], []).append("turns worst")
    return reasons


def _turn_all(
    network: nn.Module,
    names: list[str],
    images: Tensor,
    truths: Tensor,
    options: EvaluationOptions,
    batch_size: int,
    title: str,
) -> RotationStudy:
    count = options.rotation_images or len(images)
    with Progress(transient=True, disable=not sys.stdout.isatty()) as progress:
        bar = progress.add_task(f"turning the test images ({title})", total=360)
        return rotation_study(
            network,
            images[:count],
            truths[:count],
            names[:count],
            options.angle_step,
            options.corners,
            batch_size,
            lambda angle: progress.update(bar, completed=angle + options.angle_step),
        )


def _stack(dataset: Any) -> tuple[list[str], Tensor, Tensor]:
    items = [dataset[index] for index in range(len(dataset))]
    if not items:
        raise UserError("the test part of the data is empty; use more samples")
    return (
        [item["name"] for item in items],
        stack([item["image"] for item in items]),
        stack([item["mask"] for item in items]),
    )


def _table(images: list[dict[str, Any]], study: RotationStudy) -> str:
    turned = dict(zip(study.names, study.agreement.nanmean(0).tolist(), strict=True))
    rows = []
    for image in images:
        mean = turned.get(image["name"], float("nan"))
        cells = [f"{image[key]:.6f}" for key in ("dice", "iou")]
        rows.append([image["name"], *cells, "" if math.isnan(mean) else f"{mean:.6f}"])
    return table_of(["name", "dice", "iou", "mean_agreement_when_turned"], rows)
