"""Evaluation of a trained network on the test images of its run.

It adds to the run folder

    evaluation/evaluation.json   Dice and IoU, outliers, cost, what was evaluated and how
    evaluation/rotation.json     the mask against the angle, see `experiments.polyp.rotation`
    evaluation/per_image.csv     one line for each test image
    evaluation/pictures/*.png    the best, the median and the worst image, outliers, and the image
                                 whose mask changes most when it is turned

`evaluation.json` is written last: where it is, the rest is there too.
"""

import csv
import io
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

import torch
from rich.progress import Progress
from torch import Tensor, nn

from experiments.common.cost import cost_of
from experiments.common.device import choose_device
from experiments.common.errors import UserError
from experiments.common.files import write_atomically, write_json
from experiments.common.metrics import dice, iou, probabilities, summarise
from experiments.common.options import Options, check_at_least
from experiments.common.runs import RunFolder, describe_environment, load_network
from experiments.common.splits import check_split
from experiments.polyp.networks import build_network, network_arguments
from experiments.polyp.options import open_data
from experiments.polyp.pictures import picture
from experiments.polyp.rotation import RotationStudy, angles_of, rotation_study

__all__ = ["EvaluationOptions", "evaluate_run"]

REFERENCE = "plain"
"""The network whose time the others are compared with."""

_PICTURED_OUTLIERS = 3


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
    folder = RunFolder(Path(run))
    config = folder.config()
    if not folder.finished:
        raise UserError(f"{folder.path}: the training is not finished; train it to the end first")
    device = choose_device(options.device)
    network, _ = load_network(folder.path)
    network.to(device)
    data = open_data(config)
    check_split(folder, data.split)
    names, images, truths = _stack(data.dataset_for("test"))
    images, truths = images.to(device), truths.to(device)

    predicted = (probabilities(network, images, batch_size) > 0.5).float()
    scores = {
        "dice": dict(zip(names, dice(predicted, truths).tolist(), strict=True)),
        "iou": dict(zip(names, iou(predicted, truths).tolist(), strict=True)),
    }
    study = _turn_all(network, names, images, truths, options, batch_size, config["network"])
    pictures: list[dict[str, Any]] = []
    drawn: dict[str, bytes] = {}
    for name, why in choose_pictures(scores["dice"], study).items():
        index = names.index(name)
        file = f"pictures/{re.sub(r'[^A-Za-z0-9._-]', '_', name)}.png"
        drawn[file] = picture(network, images[index], truths[index], options.corners)
        pictures.append({"name": name, "reasons": why, "file": file})
    reference = build_network(**network_arguments(config | {"network": REFERENCE})).to(device)
    cost = cost_of(network, reference, images[: min(4, len(images))])
    evaluation = {
        "network": config["network"],
        "finished_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "config": config,
        "options": options.to_dict(),
        "data": data.describe(),
        "split": data.split.counts(),
        "training": folder.result(),
        "environment": describe_environment() | {"device": str(device)},
        "scores": {name: summarise(values).to_dict() for name, values in scores.items()},
        "images": [{"name": name} | {key: scores[key][name] for key in scores} for name in names],
        "empty_predictions": int((predicted.flatten(1).sum(1) == 0).sum()),
        "cost": cost.to_dict() | {"reference": REFERENCE, "threads": torch.get_num_threads()},
        "pictures": pictures,
    }
    out = folder.path / "evaluation"
    write_atomically(out / "per_image.csv", _table(evaluation["images"], study))
    for file, content in drawn.items():
        write_atomically(out / file, content)
    write_json(out / "rotation.json", study.to_dict() | {"of": evaluation["finished_at"]})
    write_json(out / "evaluation.json", evaluation)
    for stale in set((out / "pictures").glob("*.png")) - {out / file for file in drawn}:
        stale.unlink()
    return evaluation


def choose_pictures(scores: Mapping[str, float], study: RotationStudy) -> dict[str, list[str]]:
    """Names of the images to show, each with the reasons: by Dice, and by how they turn."""
    ordered = sorted(scores, key=lambda name: scores[name])
    reasons: dict[str, list[str]] = {}

    def choose(name: str, why: str) -> None:
        reasons.setdefault(name, []).append(why)

    choose(ordered[-1], "best")
    choose(ordered[len(ordered) // 2], "median")
    choose(ordered[0], "worst")
    for name in list(summarise(scores).outliers)[:_PICTURED_OUTLIERS]:
        choose(name, "outlier")
    agreement = study.agreement.nanmean(0).nan_to_num(nan=2.0)
    choose(study.names[int(agreement.argmin())], "turns worst")
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
        torch.stack([item["image"] for item in items]),
        torch.stack([item["mask"] for item in items]),
    )


def _table(images: list[dict[str, Any]], study: RotationStudy) -> str:
    turned = dict(zip(study.names, study.agreement.nanmean(0).tolist(), strict=True))
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["name", "dice", "iou", "mean_agreement_when_turned"])
    for image in images:
        mean = turned.get(image["name"], float("nan"))
        cells = [f"{image[key]:.6f}" for key in ("dice", "iou")]
        writer.writerow([image["name"], *cells, "" if math.isnan(mean) else f"{mean:.6f}"])
    return table.getvalue()
