"""The section of the report that only a study of rotation has."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.common.figures import Curve, curve_plot, svg_bytes
from experiments.common.findings import fixed, mean_of
from experiments.common.report import Section, figure, paragraph, table
from experiments.polyp.comparison import Comparand

__all__ = ["equivariance"]


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
    control = [mean_of([curve[i]["mean"] for curve in controls]) for i in range(len(angles))]
    bound = Curve("control: mask turned there and back", angles, control, neutral=True)
    rotation = networks[0].rotations[0]
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
    skipped = sum(r["empty_pairs"] for network in networks for r in network.rotations)
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
