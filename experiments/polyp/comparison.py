"""The evaluations of several runs, brought together: which can be compared, and how they do.

Runs of one network that differ in nothing but the seed are one `Comparand`: its cases are pooled
for box plots and curves, and its scores are the mean and the standard deviation over the runs.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.common.errors import UserError
from experiments.common.files import read_json
from experiments.common.metrics import Summary, summarise
from experiments.polyp.options import FREE

__all__ = ["Comparand", "EvaluatedRun", "compare", "load_runs"]

METRICS = ("dice", "iou")
CURVES = ("agreement", "control", "truth")

# What may differ between runs of one and the same network.
_REPEATS = ("seed", *FREE)


@dataclass(frozen=True)
class EvaluatedRun:
    """One run: the contents of its `evaluation.json` and `rotation.json`."""

    path: Path
    evaluation: Mapping[str, Any]
    rotation: Mapping[str, Any]


@dataclass(frozen=True)
class Comparand:
    """The runs of one network, under the label it has in the figures."""

    label: str
    runs: Sequence[EvaluatedRun]

    @property
    def angles(self) -> list[float]:
        """The angles of the curves in degrees, 0 to 360."""
        return [*(float(angle) for angle in self.runs[0].rotation["angles"]), 360.0]

    def cases(self, metric: str) -> dict[str, float]:
        """Value of every test image; with several runs the names say which run."""
        several = len(self.runs) > 1
        return {
            f"{image['name']} ({run.path.name})" if several else image["name"]: image[metric]
            for run in self.runs
            for image in run.evaluation["images"]
        }

    def summary(self, metric: str) -> Summary:
        """Summary of `cases`."""
        return summarise(self.cases(metric))

    def score(self, metric: str) -> tuple[float, float | None]:
        """Mean over runs of the mean over images, and the standard deviation over several runs."""
        return _mean_and_spread([r.evaluation["scores"][metric]["mean"] for r in self.runs])

    def curve(self, name: str) -> list[dict[str, float | None]]:
        """Mean and quartiles over images and runs at 0°, ..., 360°, of one of `CURVES`."""
        angles = len(self.runs[0].rotation["angles"])
        rows = [
            [v for run in self.runs for v in run.rotation["values"][name][i] if v is not None]
            for i in range(angles)
        ]
        points = [_statistics(row) for row in rows]
        return [*points, points[0]]

    def turned(self, name: str, part: str) -> dict[str, float | None]:
        """Mean and minimum over images and runs of one of `CURVES` at some of the angles.

        `part` is "upright" (0°), "quarter" (90, 180, 270°), "between" (all others) or "turned" (all
        but 0°).
        """
        values = [
            value
            for run in self.runs
            for angle, row in zip(run.rotation["angles"], run.rotation["values"][name], strict=True)
            if _belongs(angle, part)
            for value in row
            if value is not None
        ]
        point = _statistics(values)
        return {"mean": point["mean"], "minimum": point["minimum"]}

    def numbers(self) -> dict[str, Any]:
        """Every number that the report shows of this network, as plain data."""
        parts = ("upright", "quarter", "between", "turned")
        return {
            "label": self.label,
            "runs": [str(run.path) for run in self.runs],
            "score": {
                metric: dict(zip(("mean", "std"), self.score(metric), strict=True))
                for metric in METRICS
            },
            "boxes": {metric: self.summary(metric).to_dict() for metric in METRICS},
            "curves": {name: self.curve(name) for name in CURVES},
            "turned": {name: {part: self.turned(name, part) for part in parts} for name in CURVES},
            "cost": [run.evaluation["cost"] for run in self.runs],
            "training": [run.evaluation["training"] for run in self.runs],
        }


def load_runs(folders: Sequence[Path | str]) -> list[EvaluatedRun]:
    """The evaluations of some run folders.

    Raises:
        UserError: no folders, one without a complete evaluation, or evaluations that cannot be
            compared: of other data, another size, or turned by other angles.
    """
    if not folders:
        raise UserError("no runs to report; name at least one evaluated run folder")
    runs = [_load(Path(folder)) for folder in folders]
    first = runs[0]
    for run in runs[1:]:
        for what, here, there in _differences(first, run):
            raise UserError(
                f"{run.path} cannot be compared with {first.path}: {what} is {there!r}, not "
                f"{here!r}; report them apart"
            )
    return runs


def compare(runs: Sequence[EvaluatedRun]) -> list[Comparand]:
    """Groups runs that differ in the seed alone, in the order in which they come.

    The label is the name of the network; if several groups share it, what tells them apart as well.
    """
    groups: list[tuple[dict[str, Any], list[EvaluatedRun]]] = []
    for run in runs:
        identity = {k: v for k, v in run.evaluation["config"].items() if k not in _REPEATS}
        for known, members in groups:
            if known == identity:
                members.append(run)
                break
        else:
            groups.append((identity, [run]))
    return [Comparand(_label(identity, groups), members) for identity, members in groups]


def _label(identity: Mapping[str, Any], groups: Sequence[tuple[Mapping[str, Any], Any]]) -> str:
    name = str(identity["network"])
    same = [other for other, _ in groups if other["network"] == name]
    telling = [key for key in identity if any(other.get(key) != identity[key] for other in same)]
    return ", ".join([name, *(f"{key} {identity[key]}" for key in telling)])


def _load(folder: Path) -> EvaluatedRun:
    files = [folder / "evaluation" / name for name in ("evaluation.json", "rotation.json")]
    for file in files:
        if not file.is_file():
            raise UserError(f"{folder}: the run is not evaluated ({file} is missing); evaluate it")
    evaluation, rotation = (read_json(file) for file in files)
    try:
        fits = evaluation["finished_at"] == rotation["of"]
    except (KeyError, TypeError):
        fits = False
    if not fits:
        raise UserError(
            f"{folder}: the evaluation is incomplete ({files[0].name} and {files[1].name} do not "
            "belong together); evaluate the run again"
        )
    return EvaluatedRun(folder, evaluation, rotation)


def _differences(first: EvaluatedRun, run: EvaluatedRun) -> list[tuple[str, Any, Any]]:
    pairs = [
        (f"the {key}", first.evaluation["config"].get(key), run.evaluation["config"].get(key))
        for key in ("dataset", "size", "split")
    ]
    pairs += [
        (f"the setting {key} of the rotation", first.rotation[key], run.rotation[key])
        for key in ("angles", "corners")
    ]
    return [pair for pair in pairs if pair[1] != pair[2]]


def _belongs(angle: float, part: str) -> bool:
    return {
        "upright": angle == 0,
        "quarter": angle != 0 and angle % 90 == 0,
        "between": angle % 90 != 0,
        "turned": angle != 0,
    }[part]


def _mean_and_spread(values: Sequence[float]) -> tuple[float, float | None]:
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None


def _statistics(values: Sequence[float]) -> dict[str, float | None]:
    if not values:
        return dict.fromkeys(("mean", "minimum", "q1", "q3"))
    q1, q3 = np.quantile(values, [0.25, 0.75])
    return {
        "mean": statistics.fmean(values),
        "minimum": min(values),
        "q1": float(q1),
        "q3": float(q3),
    }
