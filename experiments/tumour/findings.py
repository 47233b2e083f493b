"""What the comparison found, in sentences made from its numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from experiments.common.findings import fixed, listing, with_spread
from experiments.tumour.comparison import Comparand, Point, Series

__all__ = ["headline", "sentences"]


def headline(series: Sequence[Series]) -> str:
    """The main finding: how the Dice of each network changes from scale 1 to the farthest one."""
    networks = [one.most_cases for one in series]
    far = _farthest(networks[0].scales)
    if far == 1:
        scores = _of(networks, lambda network: network.at(1.0, "resampled"))
        return f"At the scale of the training the mean Dice is {scores}."
    changes = {network.label: _change(network, far) for network in networks}
    scores = listing(
        f"{fixed(network.at(1.0, 'resampled')[0])} → {fixed(network.at(far, 'resampled')[0])} "
        f"({network.label})"
        for network in networks
    )
    best, worst = max(changes, key=lambda n: changes[n]), min(changes, key=lambda n: changes[n])
    compared = (
        f" The best change is {changes[best]:+.3f} ({best}), the worst {changes[worst]:+.3f} "
        f"({worst})."
        if best != worst
        else ""
    )
    cases = sorted({network.trained_on for network in networks})
    trained = " to ".join(map(str, dict.fromkeys((cases[0], cases[-1]))))
    return (
        f"Trained on {trained} cases: from scale 1 to {far:g}, on resampled volumes, the mean Dice "
        f"goes {scores}.{compared}"
    )


def sentences(series: Sequence[Series]) -> list[str]:
    """The other findings: coarser voxels, few cases, equivariance, distances, missed tumours."""
    networks = [one.most_cases for one in series]
    far = _farthest(networks[0].scales)
    points = []
    if far != 1:
        found = _of(networks, lambda network: network.at(far, "spacing"))
        points.append(
            f"With voxels coarser by 1/{far:g}, brought back to the original ones, the mean Dice "
            f"is {found}."
        )
    points += _few_cases(series, far)
    if far != 1:
        index = networks[0].scales.index(far)
        errors = _of(networks, lambda network: network.commutation("error")[index])
        floors = [network.commutation("floor")[index][0] or 0.0 for network in networks]
        points.append(
            f"Scaling the volume by {far:g} and outlining, against outlining and scaling, differs "
            f"by {errors}; interpolation alone accounts for {fixed(max(floors))} at most."
        )
    soft = _of(networks, lambda network: network.at(1.0, "resampled", "soft_dice"))
    distance = _of(networks, lambda network: network.at(1.0, "resampled", "hausdorff_95"), 1)
    points.append(f"At scale 1 the soft Dice is {soft}, the 95 % Hausdorff distance {distance} mm.")
    points += _missed(networks, far)
    if any(len(member.runs) == 1 for one in series for member in one.members):
        points.append(
            "Some networks were trained once only: how much of a difference is chance, several "
            "seeds would say."
        )
    return points


def _few_cases(series: Sequence[Series], far: float) -> list[str]:
    told = []
    for scale in dict.fromkeys((1.0, far)):
        changes = []
        for one in series:
            members = one.members
            if len(members) > 1:
                values = " → ".join(fixed(m.at(scale, "resampled")[0]) for m in members)
                counts = ", ".join(str(member.trained_on) for member in members)
                changes.append(f"{values} with {counts} cases ({one.label})")
        if changes:
            told.append(
                f"Dice at scale {scale:g} by the number of training cases: {listing(changes)}."
            )
    return told


def _missed(networks: Sequence[Comparand], far: float) -> list[str]:
    told = []
    for scale in dict.fromkeys((1.0, far)):
        index = networks[0].scales.index(scale)
        counts = [(network, *network.missed("resampled")[index]) for network in networks]
        if any(missed for _, missed, _ in counts):
            which = listing(f"{missed} of {there} ({n.label})" for n, missed, there in counts)
            told.append(
                f"At scale {scale:g} nothing was found of a region that is there in {which}."
            )
    return told


def _farthest(scales: Sequence[float]) -> float:
    """The scale farthest from 1, in ratio; the smaller one of two that are as far."""
    return max(scales, key=lambda scale: (max(scale, 1 / scale), -scale))


def _change(network: Comparand, far: float) -> float:
    return (network.at(far, "resampled")[0] or 0.0) - (network.at(1.0, "resampled")[0] or 0.0)


def _of(networks: Sequence[Comparand], value: Callable[[Comparand], Point], digits: int = 3) -> str:
    return listing(f"{with_spread(value(n), digits)} ({n.label})" for n in networks)
