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
from experiments.results.statistics import adjusted, cells, difference, outliers
from experiments.results.study import Protocol, StudyReport
from experiments.results.words import fixed, p_value, plural, shortened, with_interval

__all__ = ["absent_and_missed", "paired", "sections"]


def look(study: StudyReport, c: Comparison) -> list[Markup]:
    """One case under every transformation, moved by the reader."""
    firsts = [(network.label, network.runs[0]) for network in c.networks]
    frames = {label: run.evaluation["frames"] for label, run in firsts}
    first = next(iter(frames.values()))
    return [
        paragraph(
            "Move the slider, or press the arrow keys, and watch the outlines: green is the true "
            "one, orange and dashed that of the network."
        ),
        movable(
            [
                (label, _bytes(run, frames[label]["file"]), frames[label])
                for label, run in firsts
                if frames[label]["sliders"] == first["sliders"]
            ]
        ),
    ]


def training_cases(study: StudyReport, c: Comparison) -> list[Markup]:
    """The main score against the number of training cases; nothing if that is always the same."""
    counts = sorted({network.trained_on for network in c.networks})
    if len(counts) < 2:
        return []
    name = study.metrics[study.main]
    blocks = [paragraph("How much does a network need to see? The smaller sets lie in the larger.")]
    for part, where in reversed(study.places(c).items()):
        scores = [(n, c.score(n.label, study.main, **where)) for n in c.networks]
        points = pd.DataFrame(
            {
                "network": [n.series for n, _ in scores],
                "at": [n.trained_on for n, _ in scores],
                **{k: [getattr(e, k) for _, e in scores] for k in ("mean", "low", "high")},
            }
        )
        drawn = svg_bytes(curve_plot(points, "training cases", name, counts))
        about = f"{name} against the number of training cases, at {part}"
        blocks.append(figure(drawn, f"Curves of {about}. {_told(points)}", f"{about}."))
    return blocks


def transformed(study: StudyReport, c: Comparison) -> list[Markup]:
    """Every score against the transformation, by all protocols."""
    blocks = []
    for protocol in study.protocols:
        blocks += [heading(protocol.title), paragraph(protocol.text)]
        for count in sorted({network.trained_on for network in c.networks}):
            labels = [n.label for n in c.networks if n.trained_on == count]
            name = study.metrics[study.main]
            blocks.append(_curves(study, c, labels, protocol, study.main, name))
        blocks += _tables(study, c, protocol, study.metrics)
    return blocks


def regions(study: StudyReport, c: Comparison) -> list[Markup]:
    """The scores of every region by itself; nothing if there is but one."""
    named = list(c.networks[0].runs[0].evaluation["regions"])
    if len(named) < 2:
        return []
    places = dict(reversed(study.places(c).items()))
    blocks = []
    for metric, name in study.metrics.items():
        digits = study.digits.get(metric, 3)
        rows = [
            [label]
            + [
                with_interval(c.score(label, metric, region=region, **where), digits)
                for region in named
                for where in places.values()
            ]
            for label in c.labels
        ]
        if _any_known(rows):
            header = ["network", *(f"{region}, {part}" for region in named for part in places)]
            blocks.append(table(header, rows, f"{_capital(name)} where the region is present."))
    return blocks


def equivariance(study: StudyReport, c: Comparison) -> list[Markup]:
    """How far the masks, and the features of every layer, are from moving with the input."""
    way = study.commutation
    main, name = next(iter(way.metrics.items()))
    bound = c.rows(protocol=way.name, metric=way.bound).groupby("at")["value"].mean()
    blocks = [
        paragraph(way.text),
        _curves(study, c, c.fullest, way, main, name, bound.rename("interpolation alone")),
        *_tables(study, c, way, {**way.metrics, way.bound: "interpolation alone"}, True),
    ]
    layers = c.rows(protocol="layers", network=c.fullest)
    return [*blocks, *_layers(layers, c)] if len(layers) else blocks


def _layers(layers: pd.DataFrame, c: Comparison) -> list[Markup]:
    blocks = [
        heading("Layer by layer"),
        paragraph(
            "Where is it lost? Smooth random blobs are moved by their formula, so that the input "
            "brings no error of its own, and the features of every layer are compared with the "
            "moved features of the blobs as they are. The error is that of the network up to the "
            "layer; depth is its place among the layers."
        ),
    ]
    factors = list(layers["at"].unique())
    for factor in dict.fromkeys((factors[0], factors[-1])):
        errors = layers.query("metric == 'error' and at == @factor")
        wide = errors.pivot_table(
            index="case", columns="network", values="value", sort=False
        ).reindex(columns=c.fullest)
        points = (
            pd.concat(
                pd.DataFrame({"network": name, "at": _depths(len(v)), "mean": v.to_numpy()})
                for name, column in wide.items()
                if len(v := column.dropna())
            )
            .assign(low=math.nan, high=math.nan)
            .reset_index(drop=True)
        )
        last = points.groupby("network", sort=False)["mean"].last()
        said = "; ".join(f"{name} {fixed(value)}" for name, value in last.items())
        drawn = curve_plot(points, "depth: 0 the first layer, 1 the last", "error", [0, 0.5, 1])
        about = f"error up to each layer when moved by {factor:g}"
        alt = f"Curves of the {about}. After the last layer: {said}."
        blocks.append(figure(svg_bytes(drawn), alt, f"{_capital(about)}."))
    for label in c.fullest:
        rows = layers[(layers["network"] == label) & layers["region"].str.contains("Conv")]
        wide = rows.pivot_table(
            index=["case", "region"], columns=["metric", "at"], values="value", sort=False
        )
        chosen = [(m, f) for m in ("error", "own") for f in factors if (m, f) in wide]
        header = ["layer", "class", *(f"{_LAYER[m]}, {f:g}" for m, f in chosen)]
        cells_ = [[*map(str, i), *(fixed(v, 4) for v in r)] for i, r in wide[chosen].iterrows()]
        blocks.append(table(header, cells_, f"{label}: error of its convolutions."))
    return blocks


_LAYER = {"error": "up to here", "own": "alone"}


def _depths(count: int) -> list[float]:
    return [index / max(1, count - 1) for index in range(count)]


def accuracy(study: StudyReport, c: Comparison) -> list[Markup]:
    """Box plots of the cases as they are, outliers named; absent regions apart."""
    blocks = [
        paragraph(
            f"Overlap with the true mask of every test {study.sample} as it is, one point each "
            "(the mean over its regions), where the region is present. The box spans the "
            "quartiles, the line is the median, the diamond the mean; whiskers reach "
            "the last case within 1.5 box lengths; what lies below is ringed and counted as an "
            "outlier."
        )
    ]
    for metric in [name for name in ("dice", "iou") if name in study.metrics]:
        groups, beyond = {}, {}
        for label in c.fullest:
            matrix = cells(c.rows(network=label, metric=metric, **study.base))
            named = matrix.stack()
            several = matrix.shape[1] > 1
            named.index = [f"{case} ({run})" if several else case for case, run in named.index]
            groups[label], beyond[label] = named, outliers(named, metric)
        if not sum(map(len, groups.values())):
            continue
        alt = "; ".join(
            f"{name}: median {fixed(s.median())}, quartiles {fixed(s.quantile(0.25))} and "
            f"{fixed(s.quantile(0.75))}, {plural(len(beyond[name]), 'outlier')}"
            for name, s in groups.items()
        )
        title = study.metrics[metric]
        blocks += [
            heading(title),
            figure(svg_bytes(box_plots(groups, beyond, title)), f"Box plots. {alt}.", ""),
            bullets([_named(name, values) for name, values in beyond.items()]),
        ]
    return [*blocks, *absent_table(study, c)]


def absent_and_missed(c: Comparison, label: str, **way: Any) -> dict[str, int]:
    """Of regions that are there, in how many nothing was found; of absent ones, in how many it was.

    Counted over cases, regions and runs.
    """
    rows = c.rows(network=label, metric="found", **way)
    there, absent = rows[rows["present"]]["value"], rows[~rows["present"]]["value"]
    return {
        "present": len(there),
        "missed": int((there == 0).sum()),
        "absent": len(absent),
        "false": int((absent > 0).sum()),
    }


def absent_table(study: StudyReport, c: Comparison) -> list[Markup]:
    """What was found of regions that are not there, and what was not of those that are."""
    rows = []
    for label in c.labels:
        n = absent_and_missed(c, label, **study.base)
        missed, false = f"{n['missed']} of {n['present']}", f"{n['false']} of {n['absent']}"
        rows.append([label, missed, false])
    header = ["network", "present, nothing found", "absent, something found"]
    caption = f"Regions of test {study.sample}s. Absent ones are in no mean or interval."
    return [table(header, rows, caption)]


def differences(study: StudyReport, c: Comparison) -> list[Markup]:
    """Every two networks compared on the same cases."""
    found = paired(study, c)
    if not found:
        return []
    rows = [[f"{one} − {other}", part, told, f"{n}", p] for one, other, part, told, n, p in found]
    return [
        paragraph(
            "Every two networks are compared case by case and seed by seed. The interval and p are "
            "those of a bootstrap over cases and seeds; p is corrected for the number of "
            "comparisons (Holm). With one seed they say nothing of the chance in a training."
        ),
        table(
            ["difference", study.axis, study.metrics[study.main], f"{study.sample}s", "p"],
            rows,
            "Mean difference with its 95 % interval.",
        ),
    ]


def paired(study: StudyReport, c: Comparison) -> list[tuple[str, str, str, str, int, str]]:
    """Both labels, the part, the difference, how many cases, and p, for every two networks."""
    found = []
    for part, where in reversed(study.places(c).items()):
        rows = {n: c.rows(network=n, metric=study.main, **where) for n in c.fullest}
        for one, other in combinations(c.fullest, 2):
            found.append((one, other, part, difference(rows[one], rows[other])))
    corrected = adjusted([e.p for *_, e in found])
    return [
        (one, other, part, with_interval(e, sign="+"), e.cases, p_value(p))
        for (one, other, part, e), p in zip(found, corrected, strict=True)
    ]


def costs(study: StudyReport, c: Comparison) -> list[Markup]:
    """The networks: their scores, size, cost and training."""
    rows = []
    for network in c.networks:
        runs = pd.DataFrame(
            [{**r.evaluation["cost"], **r.evaluation["training"]} for r in network.runs]
        )
        mean = runs[["milliseconds", "ratio", "epochs", "seconds"]].mean()
        scores = [
            with_interval(c.score(network.label, m, **study.base), study.digits.get(m, 3))
            for m in study.metrics
        ]
        rows.append(
            [
                *(network.label, str(len(network.runs)), *scores),
                f"{network.runs[0].evaluation['cost']['parameters']:,}",
                shortened(runs["multiply_accumulates"].iloc[0]),
                *(f"{mean['milliseconds']:.1f}", f"{mean['ratio']:.2f}"),
                *(f"{mean['epochs']:.0f}", f"{mean['seconds'] / 60:.1f}"),
            ]
        )
    cost = c.networks[0].runs[0].evaluation["cost"]
    header = ["network", "runs", *study.metrics.values(), "parameters", "MACs"]
    header += [f"ms / {study.sample}", "time ratio", "epochs", "minutes"]
    return [
        table(
            header,
            rows,
            f"Scores: mean over the test {study.sample}s as they are, with 95 % intervals. MACs: "
            f"multiply-accumulates of a forward pass for {' × '.join(map(str, cost['size']))}. "
            f"Time ratio: inference time over that of the {cost['reference']} network of the same "
            "settings, the two taking turns. Epochs and minutes: of training.",
        )
    ]


def pictures(study: StudyReport, c: Comparison) -> list[Markup]:
    """The pictures that the evaluation chose, for the first run of each network."""
    blocks = [paragraph(study.legend)]
    for network in [n for n in c.networks if n.label in c.fullest]:
        run = network.runs[0]
        several = f" ({run.path.name})" if len(network.runs) > 1 else ""
        blocks.append(heading(network.label + several))
        for item in run.evaluation["pictures"]:
            name, why = item["name"], ", ".join(item["reasons"])
            alt = f"Test {study.sample} {name} ({why}) for {network.label}. {study.legend}"
            blocks.append(figure(_bytes(run, item["file"]), alt, f"{name}: {why}"))
    return blocks


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


def _curves(
    study: StudyReport,
    c: Comparison,
    labels: Sequence[str],
    way: Protocol,
    metric: str,
    name: str,
    bound: pd.Series | None = None,
) -> Markup:
    points = c.points(labels, metric, way.name)
    if study.period is not None:
        closed = points[points["at"] == 0].assign(at=study.period)
        points = pd.concat([points, closed], ignore_index=True)
    ticks = study.ticks or sorted(points["at"].unique())
    drawn = svg_bytes(curve_plot(points, study.axis, name, ticks, bound))
    alt = f"Curves of {name} against the {study.axis}. {_told(points)}"
    return figure(
        drawn, alt, f"{name}: mean over the test {study.sample}s, 95 % intervals as bands."
    )


def _told(points: pd.DataFrame) -> str:
    step = max(1, len(points["at"].unique()) // 8)
    return (
        "; ".join(
            f"{name}: "
            + ", ".join(f"{fixed(p.mean)} at {p.at:g}" for p in list(rows.itertuples())[::step])
            for name, rows in points.groupby("network", sort=False)
        )
        + "."
    )


def _tables(
    study: StudyReport,
    c: Comparison,
    way: Protocol,
    metrics: Mapping[str, str],
    worst: bool = False,
) -> list[Markup]:
    parts = study.parts(c.table, way.name)
    tables = []
    for metric, name in metrics.items():
        digits = study.digits.get(metric, 3)
        scores = [
            [c.score(label, metric, protocol=way.name, at=at) for at in parts.values()]
            for label in c.labels
        ]
        rows = [
            [label, *(with_interval(e, digits) for e in row)]
            + ([fixed(row[-1].worst, digits)] if worst else [])
            for label, row in zip(c.labels, scores, strict=True)
        ]
        if _any_known(rows):
            last = [f"worst, {list(parts)[-1]}"] if worst else []
            tables.append(table(["network", *parts, *last], rows, f"{_capital(name)}."))
    return tables


def _any_known(rows: Sequence[Sequence[str]]) -> bool:
    return any(cell != "–" for row in rows for cell in row[1:])


def _named(label: str, beyond: pd.Series) -> str:
    if not len(beyond):
        return f"{label}: no outliers"
    named = ", ".join(f"{name} ({fixed(value)})" for name, value in beyond.items())
    return f"{label}: {plural(len(beyond), 'outlier')}: {named}"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _bytes(run: EvaluatedRun, name: str) -> bytes:
    file = run.path / "evaluation" / name
    try:
        return file.read_bytes()
    except OSError as error:
        raise UserError(
            f"{run.path}: the picture {file} cannot be read ({error.strerror}); "
            "evaluate the run again"
        ) from None
