"""The evaluations of several runs of the polyp study, brought together."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.common import comparison
from experiments.common.comparison import EvaluatedRun, check_comparable

__all__ = ["METRICS", "Comparand", "compare", "load_runs"]

METRICS = {"dice": "Dice", "iou": "IoU"}
CURVES = ("agreement", "control", "truth")


@dataclass(frozen=True)
class Comparand(comparison.Comparand):
    """The runs of one network, with how its masks turn."""

    @property
    def rotations(self) -> list[Mapping[str, Any]]:
        """What the evaluations measured on turned images, run by run."""
        return [run.measured["rotation"] for run in self.runs]

    @property
    def angles(self) -> list[float]:
        """The angles of the curves in degrees, 0 to 360."""
        return [*(float(angle) for angle in self.rotations[0]["angles"]), 360.0]

    def curve(self, name: str) -> list[dict[str, float | None]]:
        """Mean and quartiles over images and runs at 0°, ..., 360°, of one of `CURVES`."""
        angles = len(self.rotations[0]["angles"])
        rows = [
            [v for rotation in self.rotations for v in rotation["values"][name][i] if v is not None]
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
            for rotation in self.rotations
            for angle, row in zip(rotation["angles"], rotation["values"][name], strict=True)
            if _belongs(angle, part)
            for value in row
            if value is not None
        ]
        point = _statistics(values)
        return {"mean": point["mean"], "minimum": point["minimum"]}

    def numbers(self) -> dict[str, Any]:
        """Every number that the report shows of this network, as plain data."""
        parts = ("upright", "quarter", "between", "turned")
        return self.core_numbers(tuple(METRICS)) | {
            "curves": {name: self.curve(name) for name in CURVES},
            "turned": {name: {part: self.turned(name, part) for part in parts} for name in CURVES},
        }


def load_runs(folders: Sequence[Path | str]) -> list[EvaluatedRun]:
    """The evaluations of some run folders.

    Raises:
        UserError: no folders, one without a complete evaluation, or evaluations that cannot be
            compared: of other data, another size, or turned by other angles.
    """
    runs = comparison.load_runs(folders, ["rotation"])
    check_comparable(runs, _settings)
    return runs


def compare(runs: Sequence[EvaluatedRun]) -> list[Comparand]:
    """Groups runs that differ in the seed alone, in the order in which they come."""
    return comparison.compare(runs, Comparand)


def _settings(run: EvaluatedRun) -> dict[str, Any]:
    config, rotation = run.evaluation["config"], run.measured["rotation"]
    return {f"the {key}": config.get(key) for key in ("dataset", "size", "split")} | {
        f"the setting {key} of the rotation": rotation[key] for key in ("angles", "corners")
    }


def _belongs(angle: float, part: str) -> bool:
    return {
        "upright": angle == 0,
        "quarter": angle != 0 and angle % 90 == 0,
        "between": angle % 90 != 0,
        "turned": angle != 0,
    }[part]


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
