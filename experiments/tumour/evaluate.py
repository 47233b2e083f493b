"""Evaluation of a trained network on the test cases of its run, at several scales.

The protocols in the table of results are "resampled", "spacing" and "commutation", see
`experiments.tumour.scaling`, and "layers", about the layers of the network. The headline scores are
those of "resampled" at scale 1: on the voxels that the network sees, but for the padding. For the
files see `experiments.results.evaluation`.
"""

import math
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from rich.progress import Progress

from experiments.command_line.options import Options
from experiments.common.errors import UserError
from experiments.common.inference import MULTIPLE, choose_tile, segment
from experiments.data.cases import Sample
from experiments.data.module import StudyData
from experiments.data.transforms import prepare
from experiments.results.evaluation import TrainedRun, choose_by_score, write_evaluation
from experiments.results.overlays import overlay, shown_best
from experiments.results.statistics import case_means
from experiments.tumour.scaling import SCALES, layer_rows, measure_scaling
from experiments.tumour.train import TUMOUR

__all__ = ["BASE", "EvaluationOptions", "evaluate_run"]

BASE: dict[str, Any] = {"protocol": "resampled", "at": 1.0}
"""Where the headline scores stand in the table of results."""

# The cost of a whole volume follows in proportion; measuring it there would take minutes.
_COSTED, _REPEATS = (48, 48, 48), 5


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions(Options):
    """How a network is evaluated."""

    scales: list[float] = field(default_factory=lambda: list(SCALES))
    """sizes of the volumes in the test, as a part of their size in the training"""
    tile: int | None = None
    """edge in voxels of the cubes through which larger volumes are seen; null: as in training"""
    device: str = "auto"
    """cpu, cuda, cuda:1, ... or auto: the best there is"""

    def check(self) -> None:
        """Raises `UserError` for a value out of range."""
        if not all(math.isfinite(scale) and 0.1 <= scale <= 10 for scale in self.scales):
            raise UserError(f"--scales {self.scales}: they should lie between 0.1 and 10")
        if self.scales.count(1.0) != 1 or len(set(self.scales)) < len(self.scales):
            raise UserError(f"--scales {self.scales}: 1 should be among them, and none twice")
        if self.tile is not None and (self.tile < MULTIPLE or self.tile % MULTIPLE):
            raise UserError(f"--tile {self.tile}: it should be a multiple of {MULTIPLE}")


def evaluate_run(
    run: Path | str, options: EvaluationOptions = EvaluationOptions()
) -> dict[str, Any]:
    """Evaluates the best checkpoint of a run on its test cases and writes the results.

    Returns:
        The content of `evaluation.json`.

    Raises:
        UserError: the run is not finished, its data has changed, or something cannot be written.
    """
    trained = TrainedRun.open(TUMOUR, run, options.device)
    data = trained.data
    tile = choose_tile(options.tile, data.window)
    names = data.split.test
    with Progress(transient=True, disable=not sys.stdout.isatty()) as progress:
        title = f"scaling the test cases ({trained.config['network']})"
        bar = progress.add_task(title, total=len(names) * len(options.scales))
        table, frames = measure_scaling(
            lambda image: segment(trained.network, image, tile),
            (data.sample(name) for name in names),
            data.regions,
            data.voxel,
            options.scales,
            lambda: progress.advance(bar),
        )
    base = (table["protocol"] == BASE["protocol"]) & (table["at"] == BASE["at"])
    rows = table[base & (table["metric"] == "dice")]
    score = case_means(rows)
    pictures = {}
    for name, why in choose_by_score(rows).items():
        volume = prepare(data.sample(name), spacing=data.voxel)
        png = _picture(trained, data, volume, tile, score.get(name, math.nan))
        pictures[name] = (why, png)
    about = {
        "regions": list(data.regions),
        "settings": {},
        "cost": trained.cost(torch.randn(1, len(data.modalities), *_COSTED), _REPEATS),
    }
    table = pd.concat([table, layer_rows(trained.network, len(data.modalities))], ignore_index=True)
    return write_evaluation(trained, options, table, BASE, pictures, frames, about)


def _picture(
    trained: TrainedRun, data: StudyData, volume: Sample, tile: int, score: float
) -> bytes:
    if volume.mask is None:
        raise UserError(f"{volume.name} has no segmentation")
    found = segment(trained.network, volume.values, tile) > 0.5
    shown = shown_best(data.modalities)
    return overlay(
        volume.image[shown].numpy(),
        volume.mask.numpy(),
        found.numpy(),
        data.regions,
        volume.spacing,
        f"{volume.name}, {data.modalities[shown]}, Dice {score:.3f}",
    )
