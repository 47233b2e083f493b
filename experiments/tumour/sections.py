"""The sections of the report that only a study of scale has."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from experiments.common.figures import Curve, curve_plot, svg_bytes
from experiments.common.findings import fixed, mean_of, with_spread
from experiments.common.report import Section, figure, heading, paragraph, table
from experiments.tumour.comparison import METRICS, Comparand, Point, Series
from experiments.tumour.scaling import MEAN, PROTOCOLS

__all__ = ["equivariance", "regions", "scales", "training_cases"]

_PROTOCOLS = {
    "resampled": (
        "Resampled volumes",
        "The volume and its true mask are scaled about the centre, as if the patient were smaller, "
        "and compared there.",
    ),
    "spacing": (
        "Changed voxel spacing",
        "The volume is brought to coarser voxels, as if the scanner were, and the outline back to "
        "the voxels it came with, where it is compared with the true mask as it came.",
    ),
}
_DIGITS = {"dice": 3, "soft_dice": 3, "hausdorff_95": 1}


def training_cases(series: Sequence[Series]) -> list[Section]:
    """Dice against the number of training cases; nothing if that is the same for all."""
    counts = sorted({member.trained_on for one in series for member in one.members})
    if len(counts) < 2:
        return []
    blocks = [
        paragraph(
            "How much does a network need to see? All are trained for as many steps, and the "
            "smaller sets of cases lie within the larger. Lines are means over the seeds, bands "
            "one standard deviation to both sides."
        )
    ]
    scales = series[0].most_cases.scales
    for scale in dict.fromkeys((1.0, min(scales))):
        curves = []
        for one in series:
            points = [member.at(scale, "resampled") for member in one.members]
            trained = [float(member.trained_on) for member in one.members]
            curves.append(_curve(one.label, trained, points))
        said = "; ".join(
            f"{one.label}: "
            + ", ".join(
                f"{fixed(m.at(scale, 'resampled')[0])} with {m.trained_on}" for m in one.members
            )
            for one in series
        )
        blocks += [
            heading(f"At scale {scale:g}"),
            figure(
                svg_bytes(curve_plot(curves, "training cases", "Dice", counts)),
                f"Curves of the mean Dice at scale {scale:g} against the number of training cases. "
                f"{said}.",
                f"Mean Dice of the test cases at scale {scale:g}, on resampled volumes.",
            ),
        ]
    return [Section("Training cases", blocks)]


def scales(series: Sequence[Series]) -> Section:
    """Every score against the test scale, by both protocols, for each number of cases."""
    members = [member for one in series for member in one.members]
    counts = sorted({member.trained_on for member in members})
    blocks = [
        paragraph(
            "Can a network outline tumours that appear smaller than those it was trained on? The "
            "test volumes are shown at other scales in two ways. Dice is that of the mask, cut at "
            "a probability of one half; the soft Dice takes the probabilities themselves, and "
            "stands beside it because papers report it. HD95 is the 95 % Hausdorff distance in "
            "millimetres; where exactly one of two masks is empty it is the diagonal of the volume."
        )
    ]
    for protocol in PROTOCOLS:
        name, described = _PROTOCOLS[protocol]
        blocks += [heading(name), paragraph(described)]
        blocks += [_by_scale(series, protocol, count) for count in counts]
        for metric, label in METRICS.items():
            blocks.append(_table_by_scale(members, protocol, metric, label))
    return Section("Scale", blocks)


def _by_scale(series: Sequence[Series], protocol: str, count: int) -> Markup:
    # The caption says how many cases, so the legend need not.
    curves = [
        _curve(one.label, member.scales, member.curve(protocol, "dice"))
        for one in series
        for member in one.members
        if member.trained_on == count
    ]
    said = "; ".join(
        f"{c.label}: "
        + ", ".join(f"{fixed(dice)} at {scale:g}" for scale, dice in zip(c.x, c.y, strict=True))
        for c in curves
    )
    return figure(
        svg_bytes(curve_plot(curves, "scale", "Dice", curves[0].x)),
        f"Curves of the mean Dice against the test scale, {count} training cases. {said}.",
        f"Mean Dice against the scale of the test, trained on {count} cases. Bands are one "
        "standard deviation over the seeds to both sides.",
    )


def _table_by_scale(members: Sequence[Comparand], protocol: str, metric: str, label: str) -> Markup:
    ticks = members[0].scales
    return table(
        ["network", "cases", "runs", *(f"{scale:g}" for scale in ticks)],
        [
            [
                member.label,
                str(member.trained_on),
                str(len(member.runs)),
                *(with_spread(p, _DIGITS[metric]) for p in member.curve(protocol, metric)),
            ]
            for member in members
        ],
        f"{_capital(label)} by test scale: mean over the test cases and regions (± standard "
        "deviation over runs).",
    )


def regions(series: Sequence[Series]) -> list[Section]:
    """The scores of every region by itself; nothing if there is but one."""
    members = [member for one in series for member in one.members]
    named = [region for region in members[0].regions if region != MEAN]
    if not named:
        return []
    ends = list(dict.fromkeys((1.0, min(members[0].scales))))
    blocks = [
        table(
            ["network", *(f"{region}, {scale:g}" for region in named for scale in ends)],
            [
                [
                    member.label,
                    *(
                        with_spread(member.at(scale, "resampled", metric, region), _DIGITS[metric])
                        for region in named
                        for scale in ends
                    ),
                ]
                for member in members
            ],
            f"{_capital(label)} of each region at scales {' and '.join(f'{s:g}' for s in ends)}, "
            "on resampled volumes.",
        )
        for metric, label in METRICS.items()
    ]
    return [Section("Regions", blocks)]


def equivariance(series: Sequence[Series]) -> Section:
    """How far the outlines, and the features of every layer, are from scaling with the volume."""
    networks = [one.most_cases for one in series]
    ticks = networks[0].scales
    errors = [_curve(n.label, ticks, n.commutation("error")) for n in networks]
    floors = [n.commutation("floor") for n in networks]
    floor = [mean_of([points[i][0] for points in floors]) for i in range(len(ticks))]
    bound = Curve("interpolation alone", ticks, floor, neutral=True)
    said = "; ".join(
        f"{n.label} {with_spread(n.commutation('error')[ticks.index(min(ticks))])}"
        for n in networks
    )
    rows = [
        [n.label, *(with_spread(p) for p in (*n.commutation("error"), *n.commutation("agreement")))]
        for n in networks
    ]
    header = ["network", *(f"error at {s:g}" for s in ticks)]
    header += [f"agreement at {s:g}" for s in ticks]
    return Section(
        "Equivariance",
        [
            paragraph(
                "Does the outline scale with the volume? The probabilities for the scaled volume "
                "are compared with the scaled probabilities for the volume as it is: the norm of "
                "their difference over the mean of their norms. It is seen without the truth, and "
                "0 for an equivariant network; the dotted line is what interpolation alone costs. "
                "The agreement is the Dice coefficient of the two masks."
            ),
            figure(
                svg_bytes(curve_plot([*errors, bound], "scale", "error", ticks)),
                f"Curves of the equivariance error of the outlines against the scale. At scale "
                f"{min(ticks):g}: {said}.",
                "Equivariance error of the outlines of the test cases, networks trained on the "
                "most cases.",
            ),
            table(header, rows, "Error and agreement by scale: mean over the test cases."),
            heading("Layer by layer"),
            *_layers(networks),
        ],
    )


def _layers(networks: Sequence[Comparand]) -> list[Markup]:
    blocks = [
        paragraph(
            "Where is it lost? Smooth random blobs are scaled analytically, so that the input "
            "brings no error of its own, and the features of every layer are compared with the "
            "scaled features of the blobs as they are. The error is that of the network up to the "
            "layer; how deep it lies is its place among the layers."
        )
    ]
    factors = networks[0].factors
    for factor in dict.fromkeys((factors[0], factors[-1])):
        curves = []
        for network in networks:
            if factor in network.factors:
                errors = [layer.error[network.factors.index(factor)] for layer in network.layers]
                depths = [index / max(1, len(errors) - 1) for index in range(len(errors))]
                curves.append(Curve(network.label, depths, errors))
        said = "; ".join(f"{c.label} {fixed(c.y[-1])}" for c in curves)
        blocks.append(
            figure(
                svg_bytes(
                    curve_plot(curves, "depth: 0 the first layer, 1 the last", "error", [0, 0.5, 1])
                ),
                f"Curves of the equivariance error against the depth of the layer, for scaling by "
                f"{factor:g}. After the last layer: {said}.",
                f"Error up to each layer for scaling by {factor:g}.",
            )
        )
    # However a network was trained, its layers are the same, and a page has an end.
    first = {str(network.runs[0].evaluation["network"]): network for network in reversed(networks)}
    return [*blocks, *(_layer_table(network) for network in reversed(first.values()))]


def _layer_table(network: Comparand) -> Markup:
    convolutions = [layer for layer in network.layers if "Conv" in layer.kind]
    header = ["layer", "class", *(f"up to here, {f:g}" for f in network.factors)]
    header += [f"alone, {f:g}" for f in network.factors]
    rows = [
        [layer.name, layer.kind, *(fixed(v, 4) for v in (*layer.error, *layer.own))]
        for layer in convolutions
    ]
    return table(
        header,
        rows,
        f"{network.label}: equivariance error of its convolutions, together with all layers before "
        "and alone.",
    )


def _capital(label: str) -> str:
    return label[0].upper() + label[1:]


def _curve(label: str, x: Sequence[float], points: Sequence[Point]) -> Curve:
    low, high = (
        [None if mean is None or std is None else mean + sign * std for mean, std in points]
        for sign in (-1, 1)
    )
    return Curve(label, x, [mean for mean, _ in points], low, high)
