"""The tables and figures that `report.html.j2` tells of, each made from the table of results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import pandas as pd
from markupsafe import Markup
from matplotlib.ticker import EngFormatter

from experiments.results.figures import box_plots, curve_plot, svg_bytes
from experiments.results.html import BLOCKS, figure, movable, table
from experiments.results.runs import Comparison
from experiments.results.statistics import adjusted, case_means, difference, outliers
from experiments.results.study import Protocol
from experiments.results.words import capital, fixed, p_value, plural, with_interval


def movable_frames(c: Comparison) -> Markup:
    """One case under every transformation, for the first run of each network."""
    runs = [(n.label, n.runs[0], n.runs[0].evaluation["frames"]) for n in c.networks]
    alike = [run for run in runs if run[2]["sliders"] == runs[0][2]["sliders"]]
    return movable([(label, run.file(f["file"]), f) for label, run, f in alike])


def by_training_cases(c: Comparison, part: str, where: Mapping[str, Any]) -> Markup:
    """The main score against the number of training cases."""
    study = c.study
    points = pd.DataFrame(
        {"network": n.series, "at": n.trained_on, **vars(c.score(n.label, study.main, **where))}
        for n in c.networks
    )
    name = f"{study.metrics[study.main]} at {part}"
    return _drawn(points, "training cases", name, sorted(points["at"].unique()))


def curves(
    c: Comparison, labels: Sequence[str], way: Protocol, bound: pd.Series[float] | None = None
) -> Markup:
    """The main metric of a protocol against the transformation."""
    metric, name = next(iter(way.metrics.items()))
    points = c.points(labels, metric, way)
    if c.study.period is not None:
        closed = points[points["at"] == 0].assign(at=c.study.period)
        points = pd.concat([points, closed], ignore_index=True)
    return _drawn(points, c.study.axis, name, c.study.ticks or list(points["at"].unique()), bound)


def interpolation_alone(c: Comparison) -> pd.Series[float]:
    """By transformation, what interpolation alone does to the commutation."""
    rows = c.rows(protocol=c.study.commutation.name, metric=c.study.bound)
    return rows.groupby("at")["value"].mean().rename("interpolation alone")


def scores(
    c: Comparison,
    metrics: Mapping[str, str],
    ways: Mapping[str, Mapping[str, Any]],
    worst: bool = False,
) -> Markup:
    """A table of each metric that is known; `ways` selects the rows of its columns."""
    tables = []
    for metric, name in metrics.items():
        digits = c.study.digits.get(metric, 3)
        found = {n: [c.score(n, metric, **where) for where in ways.values()] for n in c.labels}
        rows = [[n, *(with_interval(e, digits) for e in row)] for n, row in found.items()]
        header = ["network", *ways]
        if worst:
            header.append(f"worst, {header[-1]}")
            rows = [[*row, fixed(found[row[0]][-1].worst, digits)] for row in rows]
        if any(score.cases for row in found.values() for score in row):
            tables.append(table(header, rows, f"{capital(name)}."))
    return Markup().join(tables)


def by_region(c: Comparison) -> Markup:
    """The scores of every region by itself."""
    ways = {
        f"{region}, {part}": {**where, "region": region}
        for region in c.first["regions"]
        for part, where in c.places().items()
    }
    return scores(c, c.study.metrics, ways)


def commutation(c: Comparison) -> Markup:
    """How far the masks are from moving with the input, and what interpolation alone does."""
    way = c.study.commutation
    metrics = {**way.metrics, c.study.bound: "interpolation alone"}
    return scores(c, metrics, c.ways(way), worst=True)


def layers(c: Comparison) -> Markup:
    """How far the features of every layer are from moving with the input."""
    by = ["network", "metric", "at", "case", "region"]
    rows = c.rows(protocol="layers", network=c.fullest)
    means = rows.groupby(by, sort=False)["value"].mean().reset_index()
    factors, blocks = list(means["at"].unique()), []
    for factor in dict.fromkeys((factors[0], factors[-1])):
        points = means[(means["metric"] == "error") & (means["at"] == factor)]
        place = points.groupby("network").cumcount()
        last = place.groupby(points["network"]).transform("max").clip(lower=1)
        points = points.assign(mean=points["value"], at=place / last, low=math.nan, high=math.nan)
        name = f"error up to each layer when moved by {factor:g}"
        blocks.append(_drawn(points, "depth: 0 the first layer, 1 the last", name, [0, 0.5, 1]))
    convolutions = means[means["region"].str.contains("Conv") & (means["metric"] != "floor")]
    for label, rows in convolutions.groupby("network", sort=False):
        wide = rows.pivot_table("value", ["case", "region"], ["metric", "at"], sort=False)
        called = {"error": "up to here", "own": "alone"}
        header = ["layer", "class", *(f"{called[metric]}, {at:g}" for metric, at in wide)]
        content = [[*names, *(fixed(v, 4) for v in row)] for names, row in wide.iterrows()]
        blocks.append(table(header, content, f"{label}: error of its convolutions."))
    return Markup().join(blocks)


def boxes(c: Comparison, metric: str) -> Markup:
    """A box plot of the cases as they are, outliers named."""
    rows = {n: c.rows(network=n, metric=metric, **c.study.base) for n in c.fullest}
    groups = {n: case_means(values, "run") for n, values in rows.items()}
    if not any(map(len, groups.values())):
        return Markup()
    beyond = {n: outliers(values, metric) for n, values in groups.items()}
    alt = "; ".join(
        f"{n}: median {fixed(s.median())}, quartiles {fixed(s.quantile(0.25))} and "
        f"{fixed(s.quantile(0.75))}, {plural(len(beyond[n]), 'outlier')}"
        for n, s in groups.items()
    )
    named = [
        f"{n}: {plural(len(values), 'outlier')}: "
        + ", ".join(f"{case} ({run}, {fixed(v)})" for (case, run), v in values.items())
        for n, values in beyond.items()
        if len(values)
    ]
    title = c.study.metrics[metric]
    drawn = figure(svg_bytes(box_plots(groups, beyond, title)), f"Box plots. {alt}.", "")
    return Markup("<h3>{}</h3>{}{}").format(title, drawn, BLOCKS.bullets(named))


def absent_and_missed(c: Comparison) -> Markup:
    """In how many regions that are there nothing was found, and in how many that are not it was."""
    counts = {n: count_found(c, n, **c.study.base) for n in c.labels}
    rows = [
        [n, f"{k['missed']} of {k['present']}", f"{k['false']} of {k['absent']}"]
        for n, k in counts.items()
    ]
    header = ["network", "present, nothing found", "absent, something found"]
    caption = f"Regions of the test {c.study.sample}s. Absent ones are in no mean or interval."
    return table(header, rows, caption)


def count_found(c: Comparison, label: str, **where: Any) -> dict[str, int]:
    """Regions over cases and runs: `present`, `missed` of those, `absent`, `false` of those."""
    rows = c.rows(network=label, metric="found", **where)
    there, absent = rows[rows["present"]]["value"], rows[~rows["present"]]["value"]
    counts = {"present": len(there), "missed": int((there == 0).sum())}
    return counts | {"absent": len(absent), "false": int((absent > 0).sum())}


def paired(c: Comparison) -> list[tuple[str, str, str, str, int, str]]:
    """Both labels, the part, the difference, how many cases, and p, for every two networks."""
    found = []
    for part, where in c.places().items():
        rows = {n: c.rows(network=n, metric=c.study.main, **where) for n in c.fullest}
        for one, other in combinations(c.fullest, 2):
            found.append((one, other, part, difference(rows[one], rows[other])))
    corrected = adjusted([score.p for *_, score in found])
    return [
        (one, other, part, with_interval(score, sign="+"), score.cases, p_value(p))
        for (one, other, part, score), p in zip(found, corrected, strict=True)
    ]


def differences(c: Comparison) -> Markup:
    """Every two networks compared on the same cases."""
    rows = [[f"{a} − {b}", *map(str, rest)] for a, b, *rest in paired(c)]
    study = c.study
    header = ["difference", study.axis, study.metrics[study.main], f"{study.sample}s", "p"]
    return table(header, rows, "Mean difference with its 95 % interval.")


def costs(c: Comparison) -> Markup:
    """The networks: their scores, size, cost and training."""
    study, rows = c.study, []
    for network in c.networks:
        told = pd.DataFrame(
            {**run.evaluation["cost"], **run.evaluation["training"]} for run in network.runs
        )
        mean = told[["milliseconds", "ratio", "epochs", "seconds"]].mean()
        found = {m: c.score(network.label, m, **study.base) for m in study.metrics}
        rows.append(
            [
                network.label,
                str(len(network.runs)),
                *(with_interval(score, study.digits.get(m, 3)) for m, score in found.items()),
                f"{told['parameters'][0]:,}",
                EngFormatter(places=1)(told["multiply_accumulates"][0]),
                f"{mean['milliseconds']:.1f}",
                f"{mean['ratio']:.2f}",
                f"{mean['epochs']:.0f}",
                f"{mean['seconds'] / 60:.1f}",
            ]
        )
    header = ["network", "runs", *study.metrics.values(), "parameters", "MACs"]
    header += [f"ms / {study.sample}", "time ratio", "epochs", "minutes"]
    return table(header, rows, "Means over the runs of a network.")


def _drawn(
    points: pd.DataFrame,
    axis: str,
    name: str,
    ticks: Sequence[float],
    bound: pd.Series[float] | None = None,
) -> Markup:
    """Curves, described by about eight of their points."""
    step = max(1, len(points["at"].unique()) // 8)
    told = "; ".join(
        f"{label}: " + ", ".join(f"{fixed(p.mean)} at {p.at:g}" for p in rows[::step].itertuples())
        for label, rows in points.groupby("network", sort=False)
    )
    drawn = svg_bytes(curve_plot(points.reset_index(drop=True), axis, name, ticks, bound))
    bands = "; bands are 95 % intervals" if points["low"].notna().any() else ""
    return figure(drawn, f"Curves of {name} against {axis}. {told}.", f"{capital(name)}{bands}.")
