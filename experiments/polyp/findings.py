"""What the comparison found, in sentences made from its numbers."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.common.findings import fixed, listing, span, with_spread
from experiments.polyp.comparison import Comparand

__all__ = ["headline", "sentences"]

_EXACT = 1 - 1e-9
_NEARLY = 0.9995


def headline(networks: Sequence[Comparand]) -> str:
    """The main finding in one or two sentences."""
    exact: list[Comparand] = []
    nearly: list[Comparand] = []
    others: list[Comparand] = []
    for network in networks:
        point = network.turned("agreement", "quarter")
        mean, worst = point["mean"] or 0.0, point["minimum"] or 0.0
        (exact if worst >= _EXACT else nearly if mean >= _NEARLY else others).append(network)
    said = []
    if exact:
        said.append(
            f"{_names(exact)}: turning the image by 90°, 180° or 270° turns the mask exactly, on "
            "every test image."
        )
    if nearly:
        said.append(
            f"{_names(nearly)}: turning the image by 90°, 180° or 270° turns the mask, but for "
            f"single pixels that rounding tips: {_changes(nearly)}."
        )
    if others:
        start = (
            f"The masks of the other network{'s' if len(others) > 1 else ''} change"
            if exact or nearly
            else "Turning the image by 90°, 180° or 270° changes the masks"
        )
        measure = "(Dice between the turned mask and the mask of the turned image)"
        said.append(f"{start}: {_changes(others)} {measure}.")
    return " ".join(said)


def _changes(networks: Sequence[Comparand]) -> str:
    return "; ".join(
        f"{n.label} {fixed(n.turned('agreement', 'quarter')['mean'])} on average, "
        f"{fixed(n.turned('agreement', 'quarter')['minimum'])} for the worst image"
        for n in networks
    )


def sentences(networks: Sequence[Comparand]) -> list[str]:
    """The other findings: angles between, accuracy on turned and upright images, empty masks."""
    points = []
    between = [n.turned("agreement", "between")["mean"] for n in networks]
    if any(value is not None for value in between):
        control = [n.turned("control", "between")["mean"] for n in networks]
        known = [value for value in control if value is not None]
        bound = f"; the control of interpolation is {span(known)}" if known else ""
        points.append(
            "At the angles between, the two masks agree with a Dice of "
            f"{_pairs(networks, between)}{bound}."
        )
    upright = [n.turned("truth", "upright")["mean"] for n in networks]
    turned = [n.turned("truth", "turned")["mean"] for n in networks]
    changes = listing(
        f"{fixed(before)} → {fixed(after)} ({n.label})"
        for n, before, after in zip(networks, upright, turned, strict=True)
    )
    points.append(
        f"Against the true masks, inside the disc, Dice from upright to turned images: {changes}."
    )
    scores = listing(f"{with_spread(n.score('dice'))} ({n.label})" for n in networks)
    outliers = listing(f"{len(n.summary('dice').outliers)} ({n.label})" for n in networks)
    points.append(
        f"On the upright test images the mean Dice is {scores}; outliers below the fence of the "
        f"box plot: {outliers}."
    )
    empty = [(n, sum(r.evaluation["empty_predictions"] for r in n.runs)) for n in networks]
    if any(count for _, count in empty):
        missed = listing(f"{count} of {len(n.cases('dice'))} ({n.label})" for n, count in empty)
        points.append(f"Nothing at all was marked in {missed} test images.")
    return points


def _names(networks: Sequence[Comparand]) -> str:
    return listing(n.label for n in networks)


def _pairs(networks: Sequence[Comparand], values: Sequence[float | None]) -> str:
    return listing(f"{fixed(value)} ({n.label})" for n, value in zip(networks, values, strict=True))
