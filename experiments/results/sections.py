"""The sections of a report, each made from the table of results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import pandas as pd
from markupsafe import Markup

from experiments.common.errors import UserError
from experiments.results.figures import box_plots, curve_plot, svg_bytes
from experiments.results.html import Section, bullets, figure, heading, movable, paragraph, table
from experiments.results.runs import Comparison, EvaluatedRun
from experiments.results.statistics import adjusted, case_means, difference, outliers
from experiments.results.study import Protocol, StudyReport
from experiments.results.words import capital, fixed, p_value, plural, shortened, with_interval

__all__ = ["absent_and_missed", "paired", "sections"]


def sections(study: StudyReport, c: Comparison) -> list[Section]:
    """All sections but that on how to repeat it; those without content are left out."""
    made = {
        "Look for yourself": look,
        "Training cases": training_cases,
        study.transformation: transformed,
        "Regions": regions,
        "Equivariance": equivariance,
        "Accuracy": accuracy,
        "Differences": differences,
        "Networks": costs,
        "Pictures": pictures,
    }
    blocks = {title: make(study, c) for title, make in made.items()}
    return [Section(title, content) for title, content in blocks.items() if content]


def look(study: StudyReport, c: Comparison) -> list[Markup]:
    """One case under every transformation, moved by the reader."""
    firsts = [(n.label, n.runs[0], n.runs[0].evaluation["frames"]) for n in c.networks]
    sliders = firsts[0][2]["sliders"]
    lead = (
        "Move the slider, or press the arrow keys, and watch the outlines: green is the true one, "
        "orange and dashed that of the network."
    )
    shown = [(n, _bytes(run, f["file"]), f) for n, run, f in firsts if f["sliders"] == sliders]
    return [paragraph(lead), movable(shown)]


def training_cases(study: StudyReport, c: Comparison) -> list[Markup]:
    """The main score against the number of training cases; nothing if that is always the same."""
    counts = sorted({network.trained_on for network in c.networks})
    if len(counts) < 2:
        return []
    blocks = [paragraph("How much does a network need to see? The smaller sets lie in the larger.")]
    for part, where in reversed(study.places(c).items()):
        scores = [c.score(n.label, study.main, **where) for n in c.networks]
        points = pd.DataFrame(map(vars, scores))[["mean", "low", "high"]].assign(
            network=[n.series for n in c.networks], at=[n.trained_on for n in c.networks]
        )
        name = f"{study.metrics[study.main]} at {part}"
        blocks.append(_drawn(points, "training cases", name, counts))
    return blocks


def transformed(study: StudyReport, c: Comparison) -> list[Markup]:
    """Every score against the transformation, by all protocols."""
    blocks = []
    for way in study.protocols:
        blocks += [heading(way.title), paragraph(way.text)]
        for count in sorted({network.trained_on for network in c.networks}):
            labels = [n.label for n in c.networks if n.trained_on == count]
            blocks.append(_curves(study, c, labels, way, study.main, study.metrics[study.main]))
        blocks += _tables(study, c, study.metrics, study.ways(c, way))
    return blocks


def regions(study: StudyReport, c: Comparison) -> list[Markup]:
    """The scores of every region by itself; nothing if there is but one."""
    named = c.networks[0].runs[0].evaluation["regions"]
    ways = {
        f"{region}, {part}": {**where, "region": region}
        for region in named
        for part, where in reversed(study.places(c).items())
    }
    return _tables(study, c, study.metrics, ways) if len(named) > 1 else []


def equivariance(study: StudyReport, c: Comparison) -> list[Markup]:
    """How far the masks, and the features of every layer, are from moving with the input."""
    way = study.commutation
    main, name = next(iter(way.metrics.items()))
    alone = "interpolation alone"
    bound = c.rows(protocol=way.name, metric=way.bound).groupby("at")["value"].mean().rename(alone)
    metrics = {**way.metrics, way.bound: alone}
    layers = c.rows(protocol="layers", network=c.fullest)
    return [
        paragraph(way.text),
        _curves(study, c, c.fullest, way, main, name, bound),
        *_tables(study, c, metrics, study.ways(c, way), worst=True),
        *(_layers(layers, c.fullest) if len(layers) else []),
    ]


def _layers(layers: pd.DataFrame, labels: Sequence[str]) -> list[Markup]:
    blocks = [
        heading("Layer by layer"),
        paragraph(
            "Where is it lost? Smooth random blobs are moved by their formula, so that the input "
            "brings no error of its own, and the features of every layer are compared with the "
            "moved features of the blobs as they are. The error is that of the network up to the "
            "layer; depth is its place among the layers."
        ),
    ]
    by = ["network", "metric", "at", "case", "region"]
    means = layers.groupby(by, sort=False)["value"].mean().reset_index()
    factors = list(means["at"].unique())
    for factor in dict.fromkeys((factors[0], factors[-1])):
        points = means[(means["metric"] == "error") & (means["at"] == factor)]
        place = points.groupby("network").cumcount()
        last = place.groupby(points["network"]).transform("max").clip(lower=1)
        points = points.assign(mean=points["value"], at=place / last, low=math.nan, high=math.nan)
        name = f"error up to each layer when moved by {factor:g}"
        blocks.append(_drawn(points, "depth: 0 the first layer, 1 the last", name, [0, 0.5, 1]))
    for label in labels:
        rows = means[(means["network"] == label) & means["region"].str.contains("Conv")]
        wide = rows[rows["metric"] != "floor"].pivot_table(
            index=["case", "region"], columns=["metric", "at"], values="value", sort=False
        )
        called = {"error": "up to here", "own": "alone"}
        header = ["layer", "class", *(f"{called[metric]}, {at:g}" for metric, at in wide)]
        content = [[*names, *(fixed(v, 4) for v in row)] for names, row in wide.iterrows()]
        blocks.append(table(header, content, f"{label}: error of its convolutions."))
    return blocks


def accuracy(study: StudyReport, c: Comparison) -> list[Markup]:
    """Box plots of the cases as they are, outliers named; absent regions apart."""
    blocks = [
        paragraph(
            f"Overlap with the true mask of every test {study.sample} as it is, one point each "
            "(the mean over its regions), where the region is present. The box spans the "
            "quartiles, the line is the median, the diamond the mean; whiskers reach the last case "
            "within 1.5 box lengths; what lies below is ringed and counted as an outlier."
        )
    ]
    for metric in [name for name in ("dice", "iou") if name in study.metrics]:
        rows = {n: c.rows(network=n, metric=metric, **study.base) for n in c.fullest}
        groups = {n: case_means(values, "run") for n, values in rows.items()}
        if not any(map(len, groups.values())):
            continue
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
        title = study.metrics[metric]
        drawn = svg_bytes(box_plots(groups, beyond, title))
        blocks += [heading(title), figure(drawn, f"Box plots. {alt}.", ""), bullets(named)]
    counts = {n: absent_and_missed(c, n, **study.base) for n in c.labels}
    told = [
        [k, f"{n['missed']} of {n['present']}", f"{n['false']} of {n['absent']}"]
        for k, n in counts.items()
    ]
    header = ["network", "present, nothing found", "absent, something found"]
    caption = f"Regions of the test {study.sample}s. Absent ones are in no mean or interval."
    return [*blocks, table(header, told, caption)]


def absent_and_missed(c: Comparison, label: str, **where: Any) -> dict[str, int]:
    """Of regions that are there, in how many nothing was found; of absent ones, in how many it was.

    Counted over cases, regions and runs.
    """
    rows = c.rows(network=label, metric="found", **where)
    there, absent = rows[rows["present"]]["value"], rows[~rows["present"]]["value"]
    counts = {"present": len(there), "missed": int((there == 0).sum())}
    return counts | {"absent": len(absent), "false": int((absent > 0).sum())}


def differences(study: StudyReport, c: Comparison) -> list[Markup]:
    """Every two networks compared on the same cases; nothing for one network."""
    rows = [[f"{a} − {b}", *map(str, rest)] for a, b, *rest in paired(study, c)]
    lead = (
        "Every two networks are compared case by case and seed by seed. The interval and p are "
        "those of a bootstrap over cases and seeds; p is corrected for the number of comparisons "
        "(Holm). With one seed they say nothing of the chance in a training."
    )
    header = ["difference", study.axis, study.metrics[study.main], f"{study.sample}s", "p"]
    found = table(header, rows, "Mean difference with its 95 % interval.")
    return [paragraph(lead), found] if rows else []


def paired(study: StudyReport, c: Comparison) -> list[tuple[str, str, str, str, int, str]]:
    """Both labels, the part, the difference, how many cases, and p, for every two networks."""
    found = []
    for part, where in reversed(study.places(c).items()):
        rows = {n: c.rows(network=n, metric=study.main, **where) for n in c.fullest}
        for one, other in combinations(c.fullest, 2):
            found.append((one, other, part, difference(rows[one], rows[other])))
    corrected = adjusted([score.p for *_, score in found])
    return [
        (one, other, part, with_interval(score, sign="+"), score.cases, p_value(p))
        for (one, other, part, score), p in zip(found, corrected, strict=True)
    ]


def costs(study: StudyReport, c: Comparison) -> list[Markup]:
    """The networks: their scores, size, cost and training."""
    rows = []
    for network in c.networks:
        told = [{**run.evaluation["cost"], **run.evaluation["training"]} for run in network.runs]
        mean = pd.DataFrame(told)[["milliseconds", "ratio", "epochs", "seconds"]].mean()
        rows.append(
            [
                *(network.label, str(len(network.runs))),
                *(
                    with_interval(c.score(network.label, m, **study.base), study.digits.get(m, 3))
                    for m in study.metrics
                ),
                f"{network.runs[0].evaluation['cost']['parameters']:,}",
                shortened(told[0]["multiply_accumulates"]),
                *(f"{mean['milliseconds']:.1f}", f"{mean['ratio']:.2f}"),
                *(f"{mean['epochs']:.0f}", f"{mean['seconds'] / 60:.1f}"),
            ]
        )
    cost = c.networks[0].runs[0].evaluation["cost"]
    header = ["network", "runs", *study.metrics.values(), "parameters", "MACs"]
    header += [f"ms / {study.sample}", "time ratio", "epochs", "minutes"]
    caption = (
        f"Scores: mean over the test {study.sample}s as they are, with 95 % intervals. MACs: "
        f"multiply-accumulates of a forward pass for {' × '.join(map(str, cost['size']))}. Time "
        f"ratio: inference time over that of the {cost['reference']} network of the same settings, "
        "the two taking turns. Epochs and minutes: of training."
    )
    return [table(header, rows, caption)]


def pictures(study: StudyReport, c: Comparison) -> list[Markup]:
    """The pictures that the evaluation chose, for the first run of each network."""
    blocks = [paragraph(study.legend)]
    for network in [n for n in c.networks if n.label in c.fullest]:
        run = network.runs[0]
        blocks.append(heading(f"{network.label} ({run.path.name})"))
        for item in run.evaluation["pictures"]:
            name, why = item["name"], ", ".join(item["reasons"])
            alt = f"Test {study.sample} {name} ({why}) for {network.label}. {study.legend}"
            blocks.append(figure(_bytes(run, item["file"]), alt, f"{name}: {why}"))
    return blocks


def _curves(
    study: StudyReport,
    c: Comparison,
    labels: Sequence[str],
    way: Protocol,
    metric: str,
    name: str,
    bound: pd.Series[float] | None = None,
) -> Markup:
    points = c.points(labels, metric, way.name)
    if study.period is not None:
        closed = points[points["at"] == 0].assign(at=study.period)
        points = pd.concat([points, closed], ignore_index=True)
    return _drawn(points, study.axis, name, study.ticks or sorted(points["at"].unique()), bound)


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


def _tables(
    study: StudyReport,
    c: Comparison,
    metrics: Mapping[str, str],
    ways: Mapping[str, Mapping[str, Any]],
    worst: bool = False,
) -> list[Markup]:
    """A table of each metric that is known; `ways` selects the rows of its columns."""
    tables = []
    for metric, name in metrics.items():
        digits = study.digits.get(metric, 3)
        scores = [[c.score(n, metric, **where) for where in ways.values()] for n in c.labels]
        if any(score.cases for row in scores for score in row):
            last = [f"worst, {list(ways)[-1]}"] if worst else []
            rows = [
                [label, *(with_interval(score, digits) for score in row)]
                + [fixed(row[-1].worst, digits) for _ in last]
                for label, row in zip(c.labels, scores, strict=True)
            ]
            tables.append(table(["network", *ways, *last], rows, f"{capital(name)}."))
    return tables


def _bytes(run: EvaluatedRun, name: str) -> bytes:
    file = run.path / "evaluation" / name
    try:
        return file.read_bytes()
    except OSError as error:
        raise UserError(
            f"{run.path}: the picture {file} cannot be read ({error.strerror}); "
            "evaluate the run again"
        ) from None
