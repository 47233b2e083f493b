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
from experiments.results.table import read_table
from experiments.running.training_options import FREE

__all__ = ["Comparison", "EvaluatedRun", "Network", "load_runs"]

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


@dataclass(frozen=True, eq=False)
class Network:
    """The runs of one network, which differ in the seed alone.

    Its label tells the number of training cases if that differs, the name of its series does not.
    """

    label: str
    series: str
    trained_on: int
    runs: Sequence[EvaluatedRun]


@dataclass(frozen=True, eq=False)
class Comparison:
    """What is compared: the networks, and one table of all that was measured."""

    networks: Sequence[Network]
    table: pd.DataFrame

    @property
    def labels(self) -> list[str]:
        """Of all networks."""
        return [network.label for network in self.networks]

    @property
    def fullest(self) -> list[str]:
        """Labels of the networks trained on the most cases, one for each series."""
        most: dict[str, Network] = {}
        for network in self.networks:
            known = most.get(network.series, network)
            most[network.series] = max(known, network, key=lambda one: one.trained_on)
        return [network.label for network in most.values()]

    def rows(self, **wanted: Any) -> pd.DataFrame:
        """The rows with these values; a value may be a list of several."""
        chosen = pd.Series(True, index=self.table.index)
        for column, value in wanted.items():
            several = isinstance(value, list | tuple | set)
            chosen &= self.table[column].isin(value) if several else self.table[column] == value
        return self.table[chosen]

    def score(self, label: str, metric: str, **wanted: Any) -> Estimate:
        """The mean of a metric of one network over the rows wanted, with its interval."""
        return estimate(self.rows(network=label, metric=metric, **wanted))

    def points(self, labels: Sequence[str], metric: str, protocol: str) -> pd.DataFrame:
        """Mean, low and high of a metric for every network and transformation, for `curve_plot`."""
        rows = self.rows(network=list(labels), metric=metric, protocol=protocol)
        found = [
            {"network": name, "at": at, "mean": e.mean, "low": e.low, "high": e.high}
            for (name, at), part in rows.groupby(["network", "at"], sort=False)
            for e in [estimate(part)]
        ]
        order = {label: index for index, label in enumerate(labels)}
        columns = ["network", "at", "mean", "low", "high"]
        return pd.DataFrame(found, columns=columns).sort_values(
            ["network", "at"], key=lambda c: c.map(order) if c.name == "network" else c
        )


def load_runs(folders: Sequence[Path | str], study: str, settings: Sequence[str]) -> Comparison:
    """The evaluations of some run folders, as networks in the order in which they come.

    Args:
        folders: of the runs.
        study: to which they must belong.
        settings: options that must be the same for all.

    Raises:
        UserError: no folders, one without a complete evaluation, or evaluations that do not
            compare: of other data, or tested in other ways.
    """
    if not folders:
        raise UserError("no runs to report; name at least one evaluated run folder")
    runs = [_load(Path(folder)) for folder in dict.fromkeys(map(str, folders))]
    for run in runs:
        if run.evaluation["study"] != study:
            made_by = run.evaluation["study"]
            raise UserError(f"{run.path}: a run of the study {made_by!r}; give one of {study!r}")
    for run in runs[1:]:
        _check_comparable(run, runs[0], settings)
    groups: dict[str, list[EvaluatedRun]] = {}
    for run in runs:
        groups.setdefault(repr(sorted(_identity(run).items())), []).append(run)
    firsts = [members[0] for members in groups.values()]
    networks = [
        Network(
            _label(members[0], firsts, ()),
            _label(members[0], firsts, _COUNTS),
            int(members[0].evaluation["split"]["train"]),
            members,
        )
        for members in groups.values()
    ]
    order = [one.series for one in networks]
    networks.sort(key=lambda one: (order.index(one.series), one.trained_on))
    names = [run.path.name for run in runs]
    tables = [
        run.table.assign(
            network=network.label,
            run=run.path.name if names.count(run.path.name) == 1 else str(run.path),
        )
        for network in networks
        for run in network.runs
    ]
    return Comparison(networks, pd.concat(tables, ignore_index=True))


def _load(folder: Path) -> EvaluatedRun:
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


def _identity(run: EvaluatedRun) -> dict[str, Any]:
    return {k: v for k, v in run.evaluation["config"].items() if k not in _REPEATS}


def _label(run: EvaluatedRun, others: Sequence[EvaluatedRun], left_out: Sequence[str]) -> str:
    """The name of the network and what tells it apart from others of the same name."""
    own = _identity(run)
    same = [_identity(other) for other in others if _identity(other)["network"] == own["network"]]
    told = [str(own["network"])]
    for key, value in own.items():
        if key not in left_out and any(other.get(key) != value for other in same):
            counted = key in _COUNTS
            trained = f"{run.evaluation['split']['train']} cases"
            told.append(trained if counted else f"{key} {value}")
    return ", ".join(told)
