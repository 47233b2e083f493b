"""The evaluations of several runs of the tumour study, brought together.

A `Comparand` is a network trained in one way on one number of cases: its runs differ in the seed
alone. A `Series` is that network, trained in that way, on any number of cases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from experiments.common import comparison
from experiments.common.comparison import EvaluatedRun, check_comparable, mean_and_spread
from experiments.common.findings import mean_of
from experiments.tumour.scaling import MEAN, PROTOCOLS

__all__ = ["METRICS", "Comparand", "Layer", "Point", "Series", "compare", "load_runs"]

METRICS = {"dice": "Dice", "soft_dice": "soft Dice", "hausdorff_95": "HD95 in mm"}
"""What is reported of every case, the main one first."""

COMMUTATION = ("error", "floor", "agreement")

_SETTINGS = ("dataset", "modalities", "regions", "spacing", "test_cases", "count", "size")
_PHRASES = {
    "augment": lambda augment: "not augmented" if augment == "none" else f"augmented: {augment}",
}

Point = tuple[float | None, float | None]
"""Mean over runs, and the standard deviation if there are several."""


@dataclass(frozen=True)
class Layer:
    """A layer of a network and its equivariance error for every scaling.

    Attributes:
        name: in the network.
        kind: its class.
        error: of the network up to and including the layer.
        own: of the layer alone.
    """

    name: str
    kind: str
    error: tuple[float | None, ...]
    own: tuple[float | None, ...]


@dataclass(frozen=True)
class Comparand(comparison.Comparand):
    """The runs of one network, with how it does at other scales."""

    @property
    def scaling(self) -> list[Mapping[str, Any]]:
        """What the evaluations measured at other scales, run by run."""
        return [run.measured["scales"] for run in self.runs]

    @property
    def scales(self) -> list[float]:
        """The test scales."""
        return [float(scale) for scale in self.scaling[0]["scales"]]

    @property
    def regions(self) -> list[str]:
        """What scores are of: the mean over the regions, and each if there are several."""
        regions = list(self.scaling[0]["regions"])
        return [MEAN, *regions] if len(regions) > 1 else [MEAN]

    @property
    def trained_on(self) -> int:
        """Number of training cases."""
        return int(self.runs[0].evaluation["split"]["train"])

    def curve(self, protocol: str, metric: str, region: str = MEAN) -> list[Point]:
        """Score at every test scale: mean over runs of the mean over cases."""
        rows = [s["protocols"][protocol]["statistics"][metric][region] for s in self.scaling]
        return [_point([row[i]["mean"] for row in rows]) for i in range(len(self.scales))]

    def at(self, scale: float, protocol: str, metric: str = "dice", region: str = MEAN) -> Point:
        """Score at one of the test scales."""
        return self.curve(protocol, metric, region)[self.scales.index(scale)]

    def commutation(self, name: str) -> list[Point]:
        """One of `COMMUTATION` at every test scale."""
        rows = [s["equivariance"]["statistics"][name] for s in self.scaling]
        return [_point([row[i]["mean"] for row in rows]) for i in range(len(self.scales))]

    @property
    def factors(self) -> list[float]:
        """The scalings by which the layers were measured."""
        elements = self.runs[0].measured["layers"]["elements"]
        return [float(element["factor"]) for element in elements]

    @property
    def layers(self) -> list[Layer]:
        """The layers in the order in which they run; errors are means over runs."""
        tables = [run.measured["layers"]["elements"] for run in self.runs]

        def errors(index: int, name: str) -> tuple[float | None, ...]:
            return tuple(
                mean_of([table[element]["rows"][index][name] for table in tables])
                for element in range(len(self.factors))
            )

        return [
            Layer(row["name"], row["kind"], errors(index, "error"), errors(index, "own"))
            for index, row in enumerate(tables[0][0]["rows"])
        ]

    def missed(self, protocol: str) -> list[tuple[int, int]]:
        """At every test scale, how many regions nothing was found of, and of how many."""
        regions = self.scaling[0]["regions"]
        there = sum(len(s["images"]) for s in self.scaling) * len(regions)
        rows = [s["protocols"][protocol]["missed"][r] for s in self.scaling for r in regions]
        return [(sum(row[i] for row in rows), there) for i in range(len(self.scales))]

    def numbers(self) -> dict[str, Any]:
        """Every number that the report shows of this network, as plain data."""

        def plain(points: Sequence[Point]) -> list[dict[str, float | None]]:
            return [dict(zip(("mean", "std"), point, strict=True)) for point in points]

        return self.core_numbers(tuple(METRICS)) | {
            "train_cases": self.trained_on,
            "curves": {
                protocol: {
                    metric: {r: plain(self.curve(protocol, metric, r)) for r in self.regions}
                    for metric in METRICS
                }
                for protocol in PROTOCOLS
            },
            "commutation": {name: plain(self.commutation(name)) for name in COMMUTATION},
            "layers": [asdict(layer) for layer in self.layers],
        }


@dataclass(frozen=True)
class Series(comparison.Comparand):
    """The runs of one network trained in one way, on any number of cases."""

    @property
    def members(self) -> list[Comparand]:
        """Its runs by the number of cases, the fewest first; the labels say how many."""
        found = comparison.compare(self.runs, Comparand)
        ordered = sorted(found, key=lambda member: member.trained_on)
        if len(ordered) == 1:
            return [self.most_cases]
        return [replace(m, label=f"{self.label}, {m.trained_on} cases") for m in ordered]

    @property
    def most_cases(self) -> Comparand:
        """Its runs on the most cases, under its own label."""
        most = max(run.evaluation["split"]["train"] for run in self.runs)
        runs = [run for run in self.runs if run.evaluation["split"]["train"] == most]
        return Comparand(self.label, runs)


def load_runs(folders: Sequence[Path | str]) -> list[EvaluatedRun]:
    """The evaluations of some run folders.

    Raises:
        UserError: no folders, one without a complete evaluation, or evaluations that cannot be
            compared: of other data, or at other scales.
    """
    runs = comparison.load_runs(folders, ["scales", "layers"])
    check_comparable(runs, _settings)
    return runs


def compare(runs: Sequence[EvaluatedRun]) -> list[Series]:
    """Groups runs that differ in the seed and the number of cases alone."""
    return comparison.compare(runs, Series, ["train_cases"], _PHRASES)


def _settings(run: EvaluatedRun) -> dict[str, Any]:
    config = run.evaluation["config"]
    return {f"the {key}": config.get(key) for key in _SETTINGS} | {
        "the list of test scales": run.measured["scales"]["scales"]
    }


def _point(values: Sequence[float | None]) -> Point:
    known = [value for value in values if value is not None]
    return mean_and_spread(known) if known else (None, None)
