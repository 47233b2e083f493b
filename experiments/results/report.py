"""The report of evaluated runs: one HTML page that needs no other file, and what it says as data.

report.html   the page
report.json   its findings, and which runs they are about
results.csv   the table of results of all runs, with the labels of the networks
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from experiments.common.files import write_atomically, write_json
from experiments.results import sections
from experiments.results.html import render
from experiments.results.repeat import commands, how_to_repeat
from experiments.results.runs import Comparison, load_runs
from experiments.results.sections import count_found, paired
from experiments.results.study import StudyReport
from experiments.results.table import table_text
from experiments.results.words import capital, fixed, listing, plural, with_interval


def write_report(
    study: StudyReport, runs: Sequence[Path | str], out: Path | str, command: str | None = None
) -> Path:
    """Writes the files of the report to the folder `out` and returns the path of the page.

    Args:
        study: to which the runs belong.
        runs: evaluated runs on the same data; those that differ in the seed alone are shown as
            one network.
        out: the folder.
        command: what to type to repeat all of it, if it was one command.

    Raises:
        UserError: a run has no complete evaluation, or the runs do not compare.
    """
    c, target = load_runs(runs, study), Path(out) / "report.html"
    summary = {
        "title": f"{study.title} of {_data_name(c)}",
        "findings": findings(c),
        "command": command or commands(c, Path(out)),
    }
    lead = [
        plural(len(c.networks), "network"),
        plural(c.first["split"]["test"], f"test {study.sample}"),
        ", ".join(c.first["regions"]),
        c.first["finished_at"][:10],
    ]
    cards = [_card(c, label) for label in c.fullest]
    content = {"lead": " · ".join(lead), "cards": cards, "repeat": how_to_repeat(c)}
    html = render("report.html.j2", c=c, show=sections, **summary, **content)
    networks = [
        {"label": n.label, "train_cases": n.trained_on, "runs": [str(r.path) for r in n.runs]}
        for n in c.networks
    ]
    summary = {**summary, "results": "results.csv", "networks": networks}
    write_atomically(target.with_name("results.csv"), table_text(c.table))
    write_json(target.with_suffix(".json"), summary)
    write_atomically(target, html)
    return target


def findings(c: Comparison) -> list[str]:
    """What the comparison found, in sentences made from its numbers, the main one first."""
    study, places = c.study, c.places()
    (here, base), *_, (far, where) = [*places.items(), *places.items()]
    name, at = study.metrics[study.main], where["at"]

    def each(metric: str, interval: bool = True, **wanted: Any) -> str:
        scores = {label: c.score(label, metric, **wanted) for label in c.fullest}
        told = with_interval if interval else lambda score: fixed(score.mean)
        return listing(f"{told(score)} ({label})" for label, score in scores.items())

    told = [study.headline(c), f"{name} at {here}: {each(study.main, **base)}."]
    for way in study.protocols if far != here else ():
        told.append(f"{way.title}, {name} at {far}: {each(study.main, protocol=way.name, at=at)}.")
    way, (metric, measure) = study.commutation, next(iter(study.commutation.metrics.items()))
    bound = c.rows(protocol=way.name, metric=study.bound, at=at)["value"].mean()
    told.append(
        f"{capital(measure)} at {far}: {each(metric, False, protocol=way.name, at=at)}; "
        f"interpolation alone gives {fixed(bound)}."
    )
    told += [
        f"At {place}, {one} less {other}: {value} ({p}, {plural(cases, study.sample)})."
        for one, other, place, value, cases, p in paired(c)
    ]
    for place, wanted in places.items():
        counts = {label: count_found(c, label, **wanted) for label in c.fullest}
        for few, all_, said in (
            ("missed", "present", "nothing was found of a region that is there"),
            ("false", "absent", "something was found of a region that is absent"),
        ):
            if any(n[few] for n in counts.values()):
                which = listing(f"{n[few]} of {n[all_]} ({k})" for k, n in counts.items())
                told.append(f"At {place} {said} in {which}.")
    if any(len(network.runs) == 1 for network in c.networks):
        told.append(
            "Some networks were trained only once: several seeds would show how much of a "
            "difference is chance."
        )
    return told


def main_figures(study: StudyReport, runs: Sequence[Path | str]) -> Table:
    """The main figures of some runs, one row for each network, for the terminal."""
    c = load_runs(runs, study)
    title = f"{study.title} of {_data_name(c)}: {study.metrics[study.main]}"
    caption = "95 % intervals are in the report"
    table = Table(title=f"{title} of the test {study.sample}s", caption=caption)
    table.add_column("network", no_wrap=True)
    way, parts = study.commutation, c.ways(study.protocols[0])
    (far, where), measure = list(parts.items())[-1], next(iter(way.metrics))
    for column in ("weights", *parts, f"{measure}, {far}"):
        table.add_column(column, justify="right")
    for network in c.networks:
        table.add_row(
            network.label,
            f"{network.runs[0].evaluation['cost']['parameters']:,}",
            *(fixed(c.score(network.label, study.main, **part).mean) for part in parts.values()),
            fixed(c.score(network.label, measure, **where | {"protocol": way.name}).mean, 4),
        )
    return table


def _data_name(c: Comparison) -> str:
    config = c.first["config"]
    return Path(config["root"]).resolve().name if config["root"] else f"{config['dataset']} data"


def _card(c: Comparison, label: str) -> tuple[str, str, str]:
    found = {at: c.score(label, c.study.main, **where) for at, where in c.places().items()}
    (here, base), *_, (far, moved) = [*found.items(), *found.items()]
    interval = "" if math.isnan(base.low) else f" [{base.low:.3f}, {base.high:.3f}]"
    note = f"{c.study.metrics[c.study.main]} at {here}{interval}; {fixed(moved.mean)} at {far}"
    return label, fixed(base.mean), note
