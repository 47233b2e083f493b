"""What the report of a study needs to know of it; everything else it reads from the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from experiments.common.options import Options
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
    """How far the masks are from moving with the input, seen without the truth.

    Attributes:
        metrics: what is measured, by its name in the table; the first one is drawn.
        bound: the metric of what interpolation alone gives.
    """

    metrics: Mapping[str, str]
    bound: str


@dataclass(frozen=True)
class StudyReport:
    """A study, as its report sees it.

    Attributes:
        name: the package under `experiments`.
        title: of the page.
        sample: what the data consists of, in the singular.
        train, evaluate: the options of these commands.
        settings: options that must be the same for all runs.
        base: protocol and transformation of the headline scores, columns of the table.
        metrics: what they are called, by their names in the table, the main one first.
        digits: of the metrics that do not take three.
        transformation: a title for it.
        axis: the same with its unit, under the axis of a figure.
        part: the transformations that one column of a table stands for, by what it is called.
        distance: how far a transformation is from none, to find the farthest part.
        protocols: of the scores under transformation.
        commutation: of the masks.
        legend: how to read the pictures.
        headline: the main finding, in a sentence or two.
        ticks: of the axis; None for every transformation.
        period: of a transformation that comes round, such as 360 degrees.
    """

    name: str
    title: str
    sample: str
    train: type[Options]
    evaluate: type[Options]
    settings: Sequence[str]
    base: Mapping[str, Any]
    metrics: Mapping[str, str]
    transformation: str
    axis: str
    part: Callable[[float], str]
    distance: Callable[[float], float]
    protocols: Sequence[Protocol]
    commutation: Commutation
    legend: str
    headline: Callable[[StudyReport, Comparison], str]
    ticks: Sequence[float] | None = None
    period: float | None = None
    digits: Mapping[str, int] = field(default_factory=dict)

    @property
    def main(self) -> str:
        """The name of the main metric."""
        return next(iter(self.metrics))

    def parts(self, table: Any, protocol: str) -> dict[str, list[float]]:
        """The transformations of a protocol, by part, the nearest first."""
        found: dict[str, list[float]] = {}
        for at in sorted(
            table.loc[table["protocol"] == protocol, "at"].unique(), key=self.distance
        ):
            found.setdefault(self.part(at), []).append(float(at))
        return found

    def places(self, comparison: Comparison) -> dict[str, dict[str, Any]]:
        """Where findings are told of: no transformation, and the farthest of the first protocol.

        Returns:
            What selects their rows, by what they are called, the farthest first.
        """
        protocol = self.protocols[0].name
        part, at = list(self.parts(comparison.table, protocol).items())[-1]
        here = self.part(self.base["at"])
        return {part: {"protocol": protocol, "at": at}, here: dict(self.base)}
