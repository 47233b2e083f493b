"""Evaluation of a trained network on the test cases of its run, at several scales.

The protocols in the table of results are "resampled", "spacing" and "commutation", see
`experiments.tumour.scaling`, and "layers", about the layers of the network. The headline scores are
those of "resampled" at scale 1: on the voxels that the network sees, but for the padding. For the
files see `experiments.results.evaluation`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from experiments.command_line.options import Options, check_distinct
from experiments.common.errors import UserError
from experiments.common.inference import check_tile, choose_tile, segment
from experiments.data.checks import check_memory
from experiments.data.module import StudyData
from experiments.data.transforms import prepare, shape_at
from experiments.data.volumes import read_header
from experiments.results.evaluation import Measured, TrainedRun, evaluate, followed
from experiments.results.overlays import overlay, shown_best
from experiments.results.statistics import case_means
from experiments.tumour.scaling import SCALES, layer_rows, measure_scaling
from experiments.tumour.train import TUMOUR

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
        check_distinct("scales", self.scales)
        if 1.0 not in self.scales or not all(0.1 <= scale <= 10 for scale in self.scales):
            raise UserError(f"--scales {self.scales}: 1 and others between 0.1 and 10 are needed")
        check_tile(self.tile)


def evaluate_run(
    run: Path | str, options: EvaluationOptions = EvaluationOptions()
) -> dict[str, Any]:
    """Evaluates a finished run and writes the results, see `experiments.results.evaluation`."""
    return evaluate(TUMOUR, BASE, measure, run, options)


def measure(trained: TrainedRun, options: EvaluationOptions) -> Measured:
    """The test cases at every scale, and the layers of the network."""
    network, data = trained.network, trained.data
    check_scales(options.scales, data)
    tile = choose_tile(options.tile, data.window)
    names, modalities = data.split.test, data.modalities
    volumes = (data.sample(name) for name in names)
    table, frames = measure_scaling(
        lambda image: segment(network, image, tile),
        followed(volumes, len(names), "scaling the test cases"),
        data.regions,
        data.voxel,
        options.scales,
    )
    base = (table["protocol"] == BASE["protocol"]) & (table["at"] == BASE["at"])
    score = case_means(table[base & (table["metric"] == "dice")])
    shown = shown_best(modalities)

    def picture(name: str) -> bytes:
        volume = prepare(data.sample(name), spacing=data.voxel)
        truth = None if volume.mask is None else volume.mask.numpy()
        found = segment(network, volume.values, tile) > 0.5
        return overlay(
            volume.image[shown].numpy(),
            truth,
            found.numpy(),
            data.regions,
            volume.spacing,
            f"{name}, {modalities[shown]}, Dice {score.get(name, math.nan):.3f}",
        )

    return Measured(
        table=pd.concat([table, layer_rows(network, len(modalities))], ignore_index=True),
        frames=frames,
        picture=picture,
        costed=torch.randn(1, len(modalities), *_COSTED),
        repeats=_REPEATS,
    )


def check_scales(scales: Sequence[float], data: StudyData) -> None:
    """Refuse a scale at which the largest test volume would not fit into memory."""
    scale, shapes = max(scales), {}
    for case in data.source.cases:
        if case.name in data.split.test and case.files:
            header = read_header(case.files[0], case.name)
            shapes[case.name] = shape_at(data.voxel / scale, header.shape[:3], header.spacing)
        elif case.name in data.split.test:
            shapes[case.name] = (round(data.options["size"] * scale),) * 3
    name = max(shapes, key=lambda name: math.prod(shapes[name]))
    point = 4 * (len(data.modalities) + len(data.regions))
    check_memory(f"--scales {scale:g}", {name: shapes[name]}, point)
