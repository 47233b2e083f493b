"""What the report of a study needs to know of it; everything else it reads from the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from experiments.command_line.options import Options

if TYPE_CHECKING:
    from experiments.results.runs import Comparison


@dataclass(frozen=True)
class Protocol:
    """One way in which the cases are shown: its name in the table, a heading, and what is done."""

    name: str
    title: str
    text: str
    metrics: Mapping[str, str]
    """what is measured: names in the table and in words, the main one first"""


@dataclass(frozen=True, kw_only=True)
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
    transformation: str
    axis: str
    """the transformation with its unit, under the axis of a figure"""
    part: Callable[[float], str]
    """what the column of a table is called in which a transformation is counted"""
    distance: Callable[[float], float]
    """how far a transformation is from none"""
    protocols: Sequence[Protocol]
    """with the truth; the findings are about the first one and its main metric"""
    commutation: Protocol
    """how far the masks are from moving with the input, seen without the truth"""
    bound: str
    """the metric of what interpolation alone does to the commutation"""
    legend: str
    """how to read the pictures"""
    headline: Callable[[Comparison], str]
    ticks: Sequence[float] | None = None
    """of the axis; None for every transformation"""
    period: float | None = None
    """of a transformation that comes round, such as 360 degrees"""
    digits: Mapping[str, int] = field(default_factory=dict)
    """of the metrics that do not take three"""
    program: str | None = None
    """that is typed before its commands; None: `python -m experiments.<name>`"""

    @property
    def metrics(self) -> Mapping[str, str]:
        """Of the scores."""
        return self.protocols[0].metrics

    @property
    def main(self) -> str:
        """The name of the main metric."""
        return next(iter(self.metrics))
