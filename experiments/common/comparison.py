"""The evaluations of several runs, brought together: which can be compared, and which are repeats.

Runs of one network that differ in nothing but the seed are one `Comparand`: its cases are pooled
for box plots, and its scores are the mean and the standard deviation over the runs.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from experiments.common.errors import UserError
from experiments.common.files import read_json
from experiments.common.metrics import Summary, bad_values, summarise
from experiments.running.training_options import FREE

__all__ = [
    "Comparand",
    "EvaluatedRun",
    "check_comparable",
    "compare",
    "load_runs",
    "mean_and_spread",
]

# What may differ between runs of one and the same network.
_REPEATS = ("seed", *FREE)


@dataclass(frozen=True)
class EvaluatedRun:
    """One run and its evaluation.

    Attributes:
        path: the run folder.
        evaluation: contents of its `evaluation.json`.
        measured: contents of the other files beside it, by their names without ending.
    """

    path: Path
    evaluation: Mapping[str, Any]
    measured: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Comparand:
    """The runs of one network, under the label it has in the figures."""

    label: str
    runs: Sequence[EvaluatedRun]

    def cases(self, metric: str) -> dict[str, float]:
        """Value of every test sample; with several runs the names say which run."""
        several = len(self.runs) > 1
        return {
            f"{image['name']} ({run.path.name})" if several else image["name"]: image[metric]
            for run in self.runs
            for image in run.evaluation["images"]
        }

    def summary(self, metric: str) -> Summary:
        """Summary of `cases`."""
        return summarise(self.cases(metric), bad_values(metric))

    def score(self, metric: str) -> tuple[float, float | None]:
        """Mean over runs of the mean over samples, and the standard deviation over several runs."""
        return mean_and_spread([run.evaluation["scores"][metric]["mean"] for run in self.runs])

    def core_numbers(self, metrics: Sequence[str]) -> dict[str, Any]:
        """The numbers that the report of every study shows of a network, as plain data."""
        return {
            "label": self.label,
            "runs": [str(run.path) for run in self.runs],
            "score": {
                metric: dict(zip(("mean", "std"), self.score(metric), strict=True))
                for metric in metrics
            },
            "boxes": {metric: self.summary(metric).to_dict() for metric in metrics},
            "cost": [run.evaluation["cost"] for run in self.runs],
            "training": [run.evaluation["training"] for run in self.runs],
        }


Kind = TypeVar("Kind", bound=Comparand)


def load_runs(folders: Sequence[Path | str], measured: Sequence[str]) -> list[EvaluatedRun]:
    """The evaluations of some run folders.

    Args:
        folders: of the runs.
        measured: the files beside `evaluation.json`, without their ending.

    Raises:
        UserError: no folders, or one without a complete evaluation.
    """
    if not folders:
        raise UserError("no runs to report; name at least one evaluated run folder")
    return [_load(Path(folder), measured) for folder in folders]


def _load(folder: Path, measured: Sequence[str]) -> EvaluatedRun:
    files = {name: folder / "evaluation" / f"{name}.json" for name in ("evaluation", *measured)}
    for file in files.values():
        if not file.is_file():
            raise UserError(f"{folder}: the run is not evaluated ({file} is missing); evaluate it")
    contents = {name: read_json(file) for name, file in files.items()}
    evaluation = contents.pop("evaluation")
    for name, content in contents.items():
        try:
            fits = evaluation["finished_at"] == content["of"]
        except (KeyError, TypeError):
            fits = False
        if not fits:
            raise UserError(
                f"{folder}: the evaluation is incomplete (evaluation.json and {name}.json do not "
                "belong together); evaluate the run again"
            )
    return EvaluatedRun(folder, evaluation, contents)


def check_comparable(
    runs: Sequence[EvaluatedRun], settings: Callable[[EvaluatedRun], Mapping[str, Any]]
) -> None:
    """Checks that all runs have the same settings.

    Args:
        runs: at least one.
        settings: what must be the same, by what it is called in a sentence.

    Raises:
        UserError: two runs differ in one of them.
    """
    wanted = settings(runs[0])
    for run in runs[1:]:
        for what, there in settings(run).items():
            if there != wanted[what]:
                raise UserError(
                    f"{run.path} cannot be compared with {runs[0].path}: {what} is {there!r}, not "
                    f"{wanted[what]!r}; report them apart"
                )


def compare(
    runs: Sequence[EvaluatedRun],
    kind: Callable[[str, Sequence[EvaluatedRun]], Kind],
    repeats: Sequence[str] = (),
    phrases: Mapping[str, Callable[[Any], str]] = MappingProxyType({}),
) -> list[Kind]:
    """Groups runs that differ in the seed alone, in the order in which they come.

    The label is the name of the network; if several groups share it, what tells them apart as well.

    Args:
        runs: to be grouped.
        kind: makes a comparand of its label and its runs.
        repeats: options that may differ within a group too.
        phrases: how the value of an option is said in a label, if not as "option value".
    """
    same = {*_REPEATS, *repeats}
    groups: list[tuple[dict[str, Any], list[EvaluatedRun]]] = []
    for run in runs:
        identity = {k: v for k, v in run.evaluation["config"].items() if k not in same}
        for known, members in groups:
            if known == identity:
                members.append(run)
                break
        else:
            groups.append((identity, [run]))
    identities = [identity for identity, _ in groups]
    return [kind(_label(identity, identities, phrases), members) for identity, members in groups]


def _label(
    identity: Mapping[str, Any],
    groups: Sequence[Mapping[str, Any]],
    phrases: Mapping[str, Callable[[Any], str]],
) -> str:
    name = str(identity["network"])
    same = [other for other in groups if other["network"] == name]
    telling = {
        key: value
        for key, value in identity.items()
        if any(other.get(key) != value for other in same)
    }
    said = [phrases.get(k, lambda value, k=k: f"{k} {value}")(v) for k, v in telling.items()]
    return ", ".join([name, *said])


def mean_and_spread(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean, and the sample standard deviation if there are several values."""
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None
