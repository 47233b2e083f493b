"""What the report of a study needs to know of it; everything else it reads from the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from experiments.command_line.options import Options
from experiments.results.runs import Comparison

__all__ = ["Commutation", "Protocol", "StudyReport"]


@dataclass(frozen=True)
class Protocol:
    """One way in which the cases are shown: its name in the table, a heading, and what is done."""

    name: str
    title: str
    text: str


@dataclass(frozen=True)
class Commutation(Protocol):
    """How far the masks are from moving with the input, seen without the truth."""

    metrics: Mapping[str, str]
    """what is measured, by its name in the table; the first one is drawn"""
    bound: str
    """the metric of what interpolation alone gives"""


@dataclass(frozen=True)
class StudyReport:
    """A study, as its report sees it."""

    name: str
    """the package under `experiments`"""
    title: str
    sample: str
    """what the data consists of, in the singular"""
    train: type[Options]
    evaluate: type[Options]
    settings: Sequence[str]
    """options that must be the same for all runs"""
    base: Mapping[str, Any]
    """protocol and transformation of the headline scores, columns of the table"""
    metrics: Mapping[str, str]
    """what they are called, by their names in the table, the main one first"""
    transformation: str
    axis: str
    """the transformation with its unit, under the axis of a figure"""
    part: Callable[[float], str]
    """what the column of a table is called in which a transformation is counted"""
    distance: Callable[[float], float]
    """how far a transformation is from none"""
    protocols: Sequence[Protocol]
    commutation: Commutation
    legend: str
    """how to read the pictures"""
    headline: Callable[[StudyReport, Comparison], str]
    ticks: Sequence[float] | None = None
    """of the axis; None for every transformation"""
    period: float | None = None
    """of a transformation that comes round, such as 360 degrees"""
    digits: Mapping[str, int] = field(default_factory=dict)
    """of the metrics that do not take three"""
    program: str | None = None
    """that is typed before its commands; None: `python -m experiments.<name>`"""

    @property
    def main(self) -> str:
        """The name of the main metric."""
        return next(iter(self.metrics))

    def ways(self, comparison: Comparison, protocol: Protocol) -> dict[str, dict[str, Any]]:
        """What selects the rows of every part of a protocol in the table, the nearest first."""
        table, found = comparison.table, dict[str, dict[str, Any]]()
        tested = table.loc[table["protocol"] == protocol.name, "at"].unique()
        for at in sorted(tested, key=self.distance):
            where = found.setdefault(self.part(at), {"protocol": protocol.name, "at": []})
            where["at"].append(float(at))
        return found

    def places(self, comparison: Comparison) -> dict[str, dict[str, Any]]:
        """What selects the rows that findings are about, by what it is called.

        The part of the first protocol that is farthest from no transformation, then none.
        """
        part, where = list(self.ways(comparison, self.protocols[0]).items())[-1]
        return {part: where, self.part(self.base["at"]): dict(self.base)}
