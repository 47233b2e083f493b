"""The sections that the reports of all studies have: accuracy, networks and pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from experiments.common.comparison import Comparand
from experiments.common.errors import UserError
from experiments.common.figures import box_plots, svg_bytes
from experiments.common.findings import fixed, mean_of, shortened, with_spread
from experiments.common.report import Section, bullets, figure, heading, paragraph, table

__all__ = ["accuracy", "costs", "pictures"]


def accuracy(networks: Sequence[Comparand], metrics: Mapping[str, str], lead: str) -> Section:
    """Box plots of some metrics, the outliers counted and named.

    Args:
        networks: to be compared.
        metrics: what they are called, by their keys.
        lead: what the values are, in a sentence or two.
    """
    blocks = [
        paragraph(
            f"{lead} The box spans the quartiles, the line is the median, the diamond the mean; "
            "whiskers reach the last sample within 1.5 box lengths, and what lies below them is "
            "ringed and counted as an outlier."
        )
    ]
    for metric, name in metrics.items():
        groups = {network.label: network.summary(metric) for network in networks}
        values = {network.label: list(network.cases(metric).values()) for network in networks}
        described = "; ".join(
            f"{label}: median {fixed(s.median)}, quartiles {fixed(s.q1)} and {fixed(s.q3)}, "
            f"{len(s.outliers)} outliers"
            for label, s in groups.items()
        )
        blocks += [
            heading(name),
            figure(svg_bytes(box_plots(groups, values, name)), f"Box plots. {described}.", ""),
            bullets([_named(label, s.fence, s.outliers) for label, s in groups.items()]),
        ]
    return Section("Accuracy", blocks)


def _named(label: str, fence: float, outliers: Mapping[str, float]) -> str:
    if not outliers:
        return f"{label}: no outliers"
    named = ", ".join(f"{name} ({fixed(value)})" for name, value in outliers.items())
    return f"{label}: {len(outliers)} below {fixed(fence)}: {named}"


def costs(networks: Sequence[Comparand], metrics: Mapping[str, str], sample: str) -> Section:
    """A table of the networks: their scores, size, cost and training.

    Args:
        networks: to be compared.
        metrics: what the scores are called, by their keys.
        sample: what the cost is of: image, volume.
    """
    header = ["network", "runs", *metrics.values(), "parameters", "MACs", f"ms / {sample}"]
    header += ["time ratio", "epochs", "minutes"]
    rows = []
    for network in networks:
        costs = [run.evaluation["cost"] for run in network.runs]
        training = [run.evaluation["training"] for run in network.runs]
        rows.append(
            [
                network.label,
                str(len(network.runs)),
                *(with_spread(network.score(metric)) for metric in metrics),
                f"{costs[0]['parameters']:,}",
                shortened(costs[0]["multiply_accumulates"]),
                f"{mean_of([c['milliseconds'] for c in costs]):.1f}",
                f"{mean_of([c['ratio'] for c in costs]):.2f}",
                f"{mean_of([t['epochs'] for t in training]):.0f}",
                f"{mean_of([t['seconds'] / 60 for t in training]):.1f}",
            ]
        )
    first = networks[0].runs[0].evaluation["cost"]
    size = f" of {' × '.join(map(str, first['size']))}" if "size" in first else ""
    return Section(
        "Networks",
        [
            table(
                header,
                rows,
                f"Scores: mean over the test {sample}s (± standard deviation over runs). MACs: "
                f"multiply-accumulates of a forward pass for one {sample}{size}. Time ratio: "
                f"inference time over that of the {first['reference']} network of the same "
                "settings, the two taking turns. Epochs and minutes: of training.",
            )
        ],
    )


def pictures(
    networks: Sequence[Comparand], legend: str, described: Callable[[str, str, str], str]
) -> Section:
    """The pictures that the evaluation chose, for the first run of each network.

    Args:
        networks: whose pictures to show.
        legend: how to read them.
        described: in words what a picture shows, from the name of the sample, why it was chosen and
            the label of the network.
    """
    blocks = [paragraph(legend)]
    for network in networks:
        run = network.runs[0]
        several = f" ({run.path.name})" if len(network.runs) > 1 else ""
        blocks.append(heading(network.label + several))
        for item in run.evaluation["pictures"]:
            file = run.path / "evaluation" / item["file"]
            try:
                data = file.read_bytes()
            except OSError as error:
                raise UserError(
                    f"{run.path}: the picture {file} cannot be read ({error.strerror}); "
                    "evaluate the run again"
                ) from None
            why = ", ".join(item["reasons"])
            alt = described(item["name"], why, network.label)
            blocks.append(figure(data, alt, f"{item['name']}: {why}"))
    return Section("Pictures", blocks)
