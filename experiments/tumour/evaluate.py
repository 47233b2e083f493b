"""Evaluation of a trained network on the test cases of its run.

It adds to the run folder

    evaluation/evaluation.json   the scores at scale 1, by case and region; cost; what was evaluated
                                 and how
    evaluation/scales.json       the scores against the scale by two protocols, and how far the
                                 network is from commuting with it, see `experiments.tumour.scaling`
    evaluation/layers.json       the equivariance error of every layer, see
                                 `experiments.tumour.layers`
    evaluation/per_case.csv      one line for each test case
    evaluation/pictures/*.png    the best, the median and the worst case, and outliers

`evaluation.json` is written last: where it is, the rest is there too. Its scores are those of the
protocol "resampled" at scale 1: on the voxels that the network sees, but for the padding.
"""

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.progress import Progress

from experiments.common.errors import UserError
from experiments.common.evaluation import (
    TrainedRun,
    choose_by_score,
    picture_file,
    table_of,
    write_evaluation,
)
from experiments.common.metrics import bad_values, summarise
from experiments.common.options import Options
from experiments.data.cases import Sample
from experiments.data.module import StudyData
from experiments.data.transforms import prepare
from experiments.tumour.data import MULTIPLE
from experiments.tumour.inference import choose_tile, segment
from experiments.tumour.layers import layer_tables
from experiments.tumour.overlays import overlay
from experiments.tumour.scaling import MEAN, METRICS, SCALES, Metric, ScaleStudy, scale_study
from experiments.tumour.train import TUMOUR

__all__ = ["EvaluationOptions", "evaluate_run"]

# The cost of a whole volume follows in proportion; measuring it there would take minutes.
_COSTED, _REPEATS = (48, 48, 48), 5

_SHOWN_BEST = ("flair", "t2", "t1ce")
"""Modalities that show the whole tumour best, in that order."""


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
    study = _scale_all(trained, data, options.scales, tile)
    scores = _scores(study)
    means = {metric: scores[metric][MEAN] for metric in METRICS}
    files: dict[str, str | bytes] = {"per_case.csv": _table(study, scores)}
    pictures: list[dict[str, Any]] = []
    for name, why in choose_by_score(means["dice"]).items():
        file, volume = picture_file(name), prepare(data.sample(name), spacing=data.voxel)
        files[file] = _picture(trained, data, volume, tile, means["dice"][name])
        pictures.append({"name": name, "reasons": why, "file": file})
    evaluation = trained.record(options) | {
        "regions": list(study.regions),
        "scores": {metric: _summary(metric, values) for metric, values in means.items()},
        "by_region": {
            region: {metric: _summary(metric, scores[metric][region]) for metric in METRICS}
            for region in study.regions
        },
        "images": [
            {"name": name}
            | {metric: means[metric][name] for metric in METRICS}
            | {"regions": {r: {m: scores[m][r][name] for m in METRICS} for r in study.regions}}
            for name in study.names
        ],
        "missed": {
            region: counts[study.scales.index(1.0)]
            for region, counts in study.missed("resampled").items()
        },
        "cost": trained.cost(torch.randn(1, len(data.modalities), *_COSTED), _REPEATS),
        "pictures": pictures,
    }
    layers = {"elements": layer_tables(trained.network, len(data.modalities))}
    measured = {"scales": study.to_dict(), "layers": layers}
    write_evaluation(trained.folder, evaluation, measured, files)
    return evaluation


def _scale_all(
    trained: TrainedRun, data: StudyData, scales: Sequence[float], tile: int
) -> ScaleStudy:
    names = data.split.test

    def volumes() -> Iterator[Sample]:
        for name in names:
            yield data.sample(name)

    with Progress(transient=True, disable=not sys.stdout.isatty()) as progress:
        title = f"scaling the test cases ({trained.config['network']})"
        bar = progress.add_task(title, total=len(names) * len(scales))
        return scale_study(
            lambda image: segment(trained.network, image, tile),
            volumes(),
            data.regions,
            data.voxel,
            scales,
            lambda: progress.advance(bar),
        )


def _scores(study: ScaleStudy) -> dict[Metric, dict[str, dict[str, float]]]:
    """At scale 1: of each metric, by region and for their mean, the value of every case."""
    index = study.scales.index(1.0)
    return {
        metric: {
            region: dict(zip(study.names, rows[index], strict=True))
            for region, rows in study.values("resampled", metric).items()
        }
        for metric in METRICS
    }


def _summary(metric: Metric, values: dict[str, float]) -> dict[str, Any]:
    return summarise(values, bad_values(metric)).to_dict()


def _picture(
    trained: TrainedRun, data: StudyData, volume: Sample, tile: int, score: float
) -> bytes:
    if volume.mask is None:
        raise UserError(f"{volume.name} has no segmentation")
    found = segment(trained.network, volume.values, tile) > 0.5
    shown = next((name for name in _SHOWN_BEST if name in data.modalities), data.modalities[0])
    return overlay(
        volume.image[data.modalities.index(shown)].numpy(),
        volume.mask.numpy(),
        found.numpy(),
        data.regions,
        volume.spacing,
        f"{volume.name}, {shown}, Dice {score:.3f}",
    )


def _table(study: ScaleStudy, scores: dict[Metric, dict[str, dict[str, float]]]) -> str:
    regions = (MEAN, *study.regions) if len(study.regions) > 1 else (MEAN,)
    columns = [(metric, region) for metric in METRICS for region in regions]
    header = [metric if region == MEAN else f"{metric}_{region}" for metric, region in columns]
    rows = [
        [name, *(f"{scores[metric][region][name]:.6f}" for metric, region in columns)]
        for name in study.names
    ]
    return table_of(["name", *header], rows)
