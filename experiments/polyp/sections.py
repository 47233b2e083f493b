"""The sections of the report that show what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments.common.errors import UserError
from experiments.common.figures import Curve, box_plots, curve_plot, svg_bytes
from experiments.common.report import Section, bullets, figure, heading, paragraph, table
from experiments.polyp.comparison import Comparand
from experiments.polyp.findings import fixed, with_spread

__all__ = ["accuracy", "costs", "equivariance", "pictures"]


def equivariance(networks: Sequence[Comparand]) -> Section:
    """How the masks turn with the images: curves over the angle, and their means."""
    angles = networks[0].angles
    ticks = range(0, 361, 45)

    def curves(name: str) -> list[Curve]:
        lines = []
        for network in networks:
            points = network.curve(name)
            mean, low, high = ([p[key] for p in points] for key in ("mean", "q1", "q3"))
            lines.append(Curve(network.label, angles, mean, low, high))
        return lines

    controls = [network.curve("control") for network in networks]
    control = [_mean([curve[i]["mean"] for curve in controls]) for i in range(len(angles))]
    bound = Curve("control: mask turned there and back", angles, control, neutral=True)
    rotation = networks[0].runs[0].rotation
    turned = len(rotation["images"])
    rows = [
        [
            network.label,
            *(fixed(network.turned("agreement", "quarter")[key], 4) for key in ("mean", "minimum")),
            *(fixed(network.turned("agreement", "between")[key], 4) for key in ("mean", "minimum")),
            fixed(network.turned("control", "between")["mean"], 4),
            fixed(network.turned("truth", "upright")["mean"]),
            fixed(network.turned("truth", "quarter")["mean"]),
            fixed(network.turned("truth", "between")["mean"]),
        ]
        for network in networks
    ]
    header = ["network", "90°, 180°, 270°", "worst", "between", "worst", "control between"]
    header += ["Dice upright", "Dice 90°, 180°, 270°", "Dice between"]
    skipped = sum(run.rotation["empty_pairs"] for network in networks for run in network.runs)
    note = (
        f" {skipped} pairs of two empty masks are left out: they agree, but say nothing."
        if skipped
        else ""
    )
    hidden = (
        "outside the disc the network sees the mean colour, so that both masks come from the same "
        "content"
        if rotation["corners"] == "hide"
        else "the network sees the whole square, whose corners change when it is turned"
    )
    return Section(
        "Equivariance",
        [
            paragraph(
                "Does the mask turn with the image? The mask of the turned image is compared with "
                "the turned mask of the upright image, inside the inscribed disc, by the Dice "
                f"coefficient; {hidden}. {turned} test images, counter-clockwise angles. Multiples "
                f"of 90° permute the pixels and are exact; the others are interpolated.{note}"
            ),
            figure(
                svg_bytes(
                    curve_plot([*curves("agreement"), bound], "angle in degrees", "Dice", ticks)
                ),
                "Curves of the agreement between the turned mask and the mask of the turned image "
                "against the angle from 0 to 360 degrees: " + _mean_list(networks, "agreement"),
                "Agreement of the turned mask and the mask of the turned image. Lines are means "
                "over the test images, bands the quartiles. The dotted control turns a mask there "
                "and back: what interpolation alone costs, twice, so a curve may lie above it.",
            ),
            figure(
                svg_bytes(curve_plot(curves("truth"), "angle in degrees", "Dice", ticks)),
                "Curves of Dice against the turned true mask, by the angle from 0 to 360 degrees: "
                + _mean_list(networks, "truth"),
                "Accuracy on turned images: Dice of the mask of the turned image against the "
                "turned true mask.",
            ),
            table(
                header,
                rows,
                "Inside the disc: first the agreement, its mean and its worst value over images "
                "and angles; then the control; then Dice against the truth.",
            ),
        ],
    )


def _mean_list(networks: Sequence[Comparand], name: str) -> str:
    means = (f"{n.label} {fixed(n.turned(name, 'turned')['mean'])}" for n in networks)
    return ", ".join(means) + " on average."


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def accuracy(networks: Sequence[Comparand]) -> Section:
    """Box plots of Dice and IoU, the outliers counted and named."""
    blocks = [
        paragraph(
            "Overlap with the true mask on the upright test images, one point each. The box spans "
            "the quartiles, the line is the median, the diamond the mean; whiskers reach the last "
            "image within 1.5 box lengths, and what lies below them is ringed and counted as an "
            "outlier. An image whose true and predicted masks are both empty counts 1."
        )
    ]
    for metric, name in (("dice", "Dice coefficient"), ("iou", "Intersection over union")):
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


def costs(networks: Sequence[Comparand]) -> Section:
    """A table of the networks: their scores, size, cost and training."""
    header = ["network", "runs", "Dice", "IoU", "parameters", "MACs", "ms / image", "time ratio"]
    header += ["epochs", "minutes"]
    rows = []
    for network in networks:
        costs = [run.evaluation["cost"] for run in network.runs]
        training = [run.evaluation["training"] for run in network.runs]
        rows.append(
            [
                network.label,
                str(len(network.runs)),
                with_spread(network.score("dice")),
                with_spread(network.score("iou")),
                f"{costs[0]['parameters']:,}",
                _short(costs[0]["multiply_accumulates"]),
                f"{_mean([c['milliseconds'] for c in costs]):.1f}",
                f"{_mean([c['ratio'] for c in costs]):.2f}",
                f"{_mean([t['epochs'] for t in training]):.0f}",
                f"{_mean([t['seconds'] / 60 for t in training]):.1f}",
            ]
        )
    reference = networks[0].runs[0].evaluation["cost"]["reference"]
    return Section(
        "Networks",
        [
            table(
                header,
                rows,
                "Dice and IoU: mean over the upright test images (± standard deviation over runs). "
                "MACs: multiply-accumulates of a forward pass for one image. Time ratio: inference "
                f"time over that of the {reference} network of the same settings, the two taking "
                "turns. Epochs and minutes: of training.",
            )
        ],
    )


def _short(count: float) -> str:
    for unit, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count:.0f}"


def pictures(networks: Sequence[Comparand]) -> Section:
    """The pictures that the evaluation chose, for the first run of each network."""
    blocks = [
        paragraph(
            "Green: the true mask. Blue: the mask of the upright image. Orange: the mask of the "
            "turned image, turned back. In the change, grey is in both masks, blue only in the "
            "upright one, orange only in the turned one: an equivariant network leaves neither."
        )
    ]
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
            blocks.append(
                figure(
                    data,
                    f"Test image {item['name']} ({why}) for {network.label}: the image, the true "
                    "mask, the predicted mask, the masks of the turned images turned back, and "
                    "what changes.",
                    f"{item['name']}: {why}",
                )
            )
    return Section("Pictures", blocks)
