"""The report of a study: one HTML page that needs no other file, and what it says as JSON and CSV.

report.html   the page
report.json   its findings, and which runs they are about
results.csv   the table of results of all runs, with the labels of the networks
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup
from rich.table import Table

from experiments.common.files import write_atomically, write_json
from experiments.results.html import bullets, key_figures, paragraph, render_page
from experiments.results.repeat import commands, how_to_repeat
from experiments.results.runs import Comparison, load_runs
from experiments.results.sections import absent_and_missed, paired, sections
from experiments.results.study import StudyReport
from experiments.results.table import table_text
from experiments.results.words import capital, fixed, listing, plural, with_interval

__all__ = ["findings", "main_figures", "write_report"]


def write_report(
    study: StudyReport, runs: Sequence[Path | str], out: Path | str, command: str | None = None
) -> Path:
    """Writes `report.html`, `report.json` and `results.csv` to the folder `out`.

    Args:
        study: to which the runs belong.
        runs: evaluated runs on the same data; those that differ in the seed alone are shown as
            one network.
        out: the folder.
        command: what to type to repeat all of it, if it was one command.

    Returns:
        The path of the page.

    Raises:
        UserError: a run has no complete evaluation, or the runs do not compare.
    """
    c = load_runs(runs, study.name, study.settings)
    all_runs = [run for network in c.networks for run in network.runs]
    first = all_runs[0].evaluation
    program = study.program or f"python -m experiments.{study.name}"
    typed = command or commands(program, study.train, study.evaluate, all_runs, Path(out))
    told = findings(study, c)
    repeated = how_to_repeat(all_runs, typed, f"{study.sample}s")
    html = render_page(
        study.title,
        f"{plural(len(c.networks), 'network')} · {first['config']['dataset']} data · "
        f"{plural(first['split']['test'], f'test {study.sample}')} · "
        f"{', '.join(first['regions'])} · {first['finished_at'][:10]}",
        [
            paragraph(Markup("<strong>{}</strong>").format(told[0])),
            bullets(told[1:]),
            key_figures([_card(study, c, label) for label in c.fullest]),
        ],
        [*sections(study, c), repeated],
        "The values behind every figure on this page are in results.csv beside it.",
    )
    target = Path(out) / "report.html"
    summary = {
        "title": study.title,
        "findings": told,
        "command": typed,
        "results": "results.csv",
        "networks": [
            {"label": n.label, "train_cases": n.trained_on, "runs": [str(r.path) for r in n.runs]}
            for n in c.networks
        ],
    }
    write_atomically(target.with_name("results.csv"), table_text(c.table))
    write_json(target.with_suffix(".json"), summary)
    write_atomically(target, html)
    return target


def findings(study: StudyReport, c: Comparison) -> list[str]:
    """What the comparison found, in sentences made from its numbers, the main one first."""
    places = study.places(c)
    (far, where), (here, base), *_ = [*places.items(), *places.items()]
    name, at = study.metrics[study.main], where["at"]

    def each(metric: str, interval: bool = True, **wanted: Any) -> str:
        scores = {label: c.score(label, metric, **wanted) for label in c.fullest}
        told = with_interval if interval else lambda score: fixed(score.mean)
        return listing(f"{told(score)} ({label})" for label, score in scores.items())

    told = [study.headline(study, c), f"{name} at {here}: {each(study.main, **base)}."]
    for way in study.protocols if far != here else ():
        told.append(f"{way.title}, {name} at {far}: {each(study.main, protocol=way.name, at=at)}.")
    way, (metric, measure) = study.commutation, next(iter(study.commutation.metrics.items()))
    bound = c.rows(protocol=way.name, metric=way.bound, at=at)["value"].mean()
    told.append(
        f"{capital(measure)} at {far}: "
        f"{each(metric, False, protocol=way.name, at=at)}; interpolation alone gives "
        f"{fixed(bound)}."
    )
    told += [
        f"At {place}, {one} less {other}: {value} ({p}, {plural(cases, study.sample)})."
        for one, other, place, value, cases, p in paired(study, c)
    ]
    for place, wanted in reversed(places.items()):
        counts = {label: absent_and_missed(c, label, **wanted) for label in c.fullest}
        for few, all_, said in (
            ("missed", "present", "nothing was found of a region that is there"),
            ("false", "absent", "something was found of a region that is absent"),
        ):
            if any(n[few] for n in counts.values()):
                which = listing(f"{n[few]} of {n[all_]} ({k})" for k, n in counts.items())
                told.append(f"At {place} {said} in {which}.")
    if any(len(network.runs) == 1 for network in c.networks):
        told.append(
            "Some networks were trained once only: how much of a difference is chance, several "
            "seeds would say."
        )
    return told


def main_figures(study: StudyReport, runs: Sequence[Path | str]) -> Table:
    """The main figures of some runs, one row for each network, for the terminal."""
    c = load_runs(runs, study.name, study.settings)
    table = Table(title=f"{study.title}: {study.metrics[study.main]} of the test {study.sample}s")
    table.add_column("network")
    way, commutation = study.protocols[0], study.commutation
    parts, measure = study.ways(c, way), next(iter(commutation.metrics))
    far, where = list(parts.items())[-1]
    moved = where | {"protocol": commutation.name}
    for column in ("parameters", *parts, f"{measure}, {far}"):
        table.add_column(column, justify="right")
    for network in c.networks:
        table.add_row(
            network.label,
            f"{network.runs[0].evaluation['cost']['parameters']:,}",
            *(with_interval(c.score(network.label, study.main, **part)) for part in parts.values()),
            fixed(c.score(network.label, measure, **moved).mean, 4),
        )
    return table


def _card(study: StudyReport, c: Comparison, label: str) -> tuple[str, str, str]:
    (far, moved), (here, base) = (
        (part, c.score(label, study.main, **where))
        for part, where in (2 * list(study.places(c).items()))[:2]
    )
    interval = "" if math.isnan(base.low) else f" [{base.low:.3f}, {base.high:.3f}]"
    note = f"{study.metrics[study.main]} at {here}{interval}; {fixed(moved.mean)} at {far}"
    return label, fixed(base.mean), note
