"""Evaluated runs brought together: read, checked to be comparable, and grouped into networks.

Runs that differ in nothing but the seed are one `Network`. In the joined table its label takes the
place of the name of the network, so that rows are grouped by network, seed and case.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.common.errors import UserError
from experiments.common.files import read_json
from experiments.results.statistics import Estimate, estimate
from experiments.results.study import Protocol, StudyReport
from experiments.results.table import read_table
from experiments.running.training_options import FREE

# What may differ between runs of one and the same network.
_REPEATS = ("seed", *FREE)
# What differs in the part of the data that a network sees, not in the network.
_COUNTS = ("train_cases", "limit_train")


@dataclass(frozen=True, eq=False)
class EvaluatedRun:
    """One run: its folder, the content of its `evaluation.json`, and its rows of results."""

    path: Path
    evaluation: Mapping[str, Any]
    table: pd.DataFrame

    def file(self, name: str) -> bytes:
        """A picture of the evaluation."""
        file = self.path / "evaluation" / name
        try:
            return file.read_bytes()
        except OSError as error:
            raise UserError(
                f"{self.path}: the picture {file} cannot be read ({error.strerror}); "
                "evaluate the run again"
            ) from None


@dataclass(frozen=True, eq=False)
class Network:
    """The runs of one network, which differ in the seed alone.

    Its label tells the number of training cases if that differs, the name of its series does not.
    """

    label: str
    series: str
    trained_on: int
    runs: list[EvaluatedRun]


@dataclass(frozen=True, eq=False)
class Comparison:
    """What is compared: the networks of a study, and one table of all that was measured."""

    study: StudyReport
    networks: Sequence[Network]
    table: pd.DataFrame

    @property
    def runs(self) -> list[EvaluatedRun]:
        """Of all networks."""
        return [run for network in self.networks for run in network.runs]

    @property
    def first(self) -> Mapping[str, Any]:
        """The record of the first run, for what is the same for all."""
        return self.runs[0].evaluation

    @property
    def labels(self) -> list[str]:
        """Of all networks."""
        return [network.label for network in self.networks]

    @property
    def fullest(self) -> list[str]:
        """Labels of the networks trained on the most cases, one for each series."""
        most = {n.series: n for n in sorted(self.networks, key=lambda n: n.trained_on)}
        return [n.label for n in self.networks if most[n.series] is n]

    def rows(self, **wanted: Any) -> pd.DataFrame:
        """The rows with these values; a value may be a list of several."""
        chosen = pd.Series(True, index=self.table.index)
        for column, value in wanted.items():
            chosen &= self.table[column].isin(value if isinstance(value, list) else [value])
        return self.table[chosen]

    def score(self, label: str, metric: str, **wanted: Any) -> Estimate:
        """The mean of a metric of one network over the rows wanted, with its interval."""
        return estimate(self.rows(network=label, metric=metric, **wanted))

    def points(self, labels: Sequence[str], metric: str, way: Protocol) -> pd.DataFrame:
        """The mean of a metric for every network and transformation, for `draw_curves`."""
        rows = self.rows(network=list(labels), metric=metric, protocol=way.name)
        found = [
            {"network": label, "at": at, **vars(estimate(part))}
            for label in labels
            for at, part in rows[rows["network"] == label].groupby("at")
        ]
        return pd.DataFrame(found, columns=["network", "at", "mean", "low", "high"])

    def ways(self, protocol: Protocol) -> dict[str, dict[str, Any]]:
        """What selects the rows of every part of a protocol in the table, the nearest first."""
        found: dict[str, dict[str, Any]] = {}
        for at in sorted(self.rows(protocol=protocol.name)["at"].unique(), key=self.study.distance):
            where = found.setdefault(self.study.part(at), {"protocol": protocol.name, "at": []})
            where["at"].append(float(at))
        return found

    def places(self) -> dict[str, dict[str, Any]]:
        """What selects the rows that findings are about: as it is, and farthest from that."""
        base, (part, where) = self.study.base, list(self.ways(self.study.protocols[0]).items())[-1]
        return {self.study.part(base["at"]): dict(base), part: where}


def load_runs(folders: Sequence[Path | str], study: StudyReport) -> Comparison:
    """The evaluations of some run folders, as networks in the order in which they come.

    Raises:
        UserError: no folders, one without a complete evaluation, or evaluations that do not
            compare: of other data, or tested in other ways.
    """
    if not folders:
        raise UserError("no runs to report; name at least one evaluated run folder")
    runs = [_load(Path(folder), study.name) for folder in dict.fromkeys(map(str, folders))]
    for run in runs[1:]:
        _check_comparable(run, runs[0], study.settings)
    configs = [run.evaluation["config"] for run in runs]
    own = [{k: str(v) for k, v in config.items() if k not in _REPEATS} for config in configs]
    options, networks = pd.DataFrame(own).fillna("None"), dict[str, Network]()
    for run, values in zip(runs, options.to_dict("records"), strict=True):
        same = options[options["network"] == values["network"]]
        told = [str(name) for name in same if same[name].nunique() > 1]
        trained = run.evaluation["split"]["train"]
        others = [f"{name} {values[name]}" for name in told if name not in _COUNTS]
        series = ", ".join([values["network"], *others])
        label = f"{series}, {trained} cases" if set(told) & set(_COUNTS) else series
        networks.setdefault(label, Network(label, series, trained, [])).runs.append(run)
    order = [network.series for network in networks.values()]
    ordered = sorted(networks.values(), key=lambda n: (order.index(n.series), n.trained_on))
    names = [run.path.name for run in runs]
    tables = []
    for network in ordered:
        for run in network.runs:
            name = run.path.name if names.count(run.path.name) == 1 else str(run.path)
            tables.append(run.table.assign(network=network.label, run=name))
    return Comparison(study, ordered, pd.concat(tables, ignore_index=True))


def _load(folder: Path, study: str) -> EvaluatedRun:
    record, results = (folder / "evaluation" / name for name in ("evaluation.json", "results.csv"))
    for file in (record, results):
        if not file.is_file():
            raise UserError(f"{folder}: the run is not evaluated ({file} is missing); evaluate it")
    evaluation = read_json(record)
    digest = hashlib.sha256(results.read_bytes()).hexdigest()
    if not isinstance(evaluation, dict) or evaluation.get("results") != digest:
        raise UserError(
            f"{folder}: the evaluation is incomplete (evaluation.json and results.csv do not "
            "belong together); evaluate the run again"
        )
    if (made_by := evaluation["study"]) != study:
        raise UserError(f"{folder}: a run of the study {made_by!r}; give one of {study!r}")
    return EvaluatedRun(folder, evaluation, read_table(results))


def _check_comparable(run: EvaluatedRun, first: EvaluatedRun, settings: Sequence[str]) -> None:
    def told(one: EvaluatedRun) -> dict[str, Any]:
        config = one.evaluation["config"]
        tested = one.table.loc[one.table["protocol"] != "layers"]
        ways = tested.groupby("protocol")["at"].unique()
        return (
            {f"the {key}": config.get(key) for key in settings}
            | {f"the list of tests by {key}": sorted(map(float, v)) for key, v in ways.items()}
            | {"the list of regions": one.evaluation["regions"]}
            | {f"the setting {k}": v for k, v in one.evaluation["settings"].items()}
        )

    wanted = told(first)
    for what, there in told(run).items():
        if there != wanted.get(what):
            raise UserError(
                f"{run.path} cannot be compared with {first.path}: {what} is {there!r}, not "
                f"{wanted.get(what)!r}; report them apart"
            )
