"""How well a network outlines tumours that appear smaller than those it was trained on.

At each scale s every test case is segmented by two protocols:

    resampled   the preprocessed volume and its mask are scaled about the centre by s, as if the
                patient were smaller, and compared there. Distances are those of the smaller patient
    spacing     the volume as it came is preprocessed at voxels of spacing / s, as if the scanner
                were coarser; the probabilities are brought back to the voxels of the volume,
                linearly, cut at one half, and compared there with the mask as it came

In both the network sees the tumour s times as large, in voxels, as in training. The first asks for
nothing but the outline on the grid of the network; the second for the outline that a radiologist
gets, on the original voxels, and at scale 1 too includes what bringing it back costs. Volumes are
resampled by cubic splines ("resampled") or linearly, as in preprocessing ("spacing"), in both
cases without aliasing; masks linearly, and cut at one half.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor

from experiments.common.metrics import dice_by_region, hausdorff_95, iou_by_region, soft_dice
from experiments.data.cases import Sample
from experiments.data.transforms import prepare, restore
from experiments.tumour.commutation import Commutation, commutation
from gcnn.geometry import zoom

__all__ = [
    "MEAN",
    "METRICS",
    "PROTOCOLS",
    "SCALES",
    "CaseScore",
    "Metric",
    "Protocol",
    "ScaleStudy",
    "scale_study",
    "score",
    "statistics_of",
    "zoom_mask",
]

Metric: TypeAlias = Literal["dice", "iou", "soft_dice", "hausdorff_95"]
METRICS: tuple[Metric, ...] = get_args(Metric)
Protocol: TypeAlias = Literal["resampled", "spacing"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
SCALES = (0.7, 0.8, 0.9, 1.0)
MEAN = "mean"
"""The name under which the mean over the regions stands beside them."""

Segment: TypeAlias = Callable[[Tensor], Tensor]
"""From a preprocessed image (M, D, H, W) to probabilities (R, D, H, W)."""


@dataclass(frozen=True)
class CaseScore:
    """One case at one scale.

    Attributes:
        values: of each metric, one number per region.
        found: whether the network found anything, per region.
        true: whether there is anything to find, per region.
    """

    values: Mapping[Metric, tuple[float, ...]]
    found: tuple[bool, ...]
    true: tuple[bool, ...]

    def mean(self, metric: Metric) -> float:
        """The mean of a metric over the regions."""
        return math.fsum(self.values[metric]) / len(self.values[metric])


def score(probability: Tensor, mask: Tensor, spacing: Sequence[float]) -> CaseScore:
    """Compare probabilities with the truth; they are cut at one half, except for the soft Dice.

    Args:
        probability: (R, D, H, W).
        mask: of the same shape, 0 and 1.
        spacing: of the voxels in millimetres.
    """
    found, true = (probability > 0.5).float()[None], mask.float()[None]
    values: dict[Metric, Tensor] = {
        "dice": dice_by_region(found, true),
        "iou": iou_by_region(found, true),
        "soft_dice": soft_dice(probability[None], true),
        "hausdorff_95": hausdorff_95(found, true, spacing),
    }
    return CaseScore(
        {name: tuple(value[0].tolist()) for name, value in values.items()},
        tuple(found[0].flatten(1).any(1).tolist()),
        tuple(true[0].flatten(1).any(1).tolist()),
    )


@dataclass(frozen=True)
class ScaleStudy:
    """Scores and commutation of every case at every scale.

    Attributes:
        names: of the cases.
        regions: of the channels.
        scales: in the order asked.
        scores: of each protocol, [scale][case].
        commutations: [scale][case].
    """

    names: tuple[str, ...]
    regions: tuple[str, ...]
    scales: tuple[float, ...]
    scores: Mapping[Protocol, Sequence[Sequence[CaseScore]]]
    commutations: Sequence[Sequence[Commutation]]

    def values(self, protocol: Protocol, metric: Metric) -> dict[str, list[list[float]]]:
        """A metric of each region, and its mean over the regions, [scale][case]."""
        rows = self.scores[protocol]
        found = {MEAN: [[case.mean(metric) for case in row] for row in rows]}
        for index, region in enumerate(self.regions):
            found[region] = [[case.values[metric][index] for case in row] for row in rows]
        return found

    def missed(self, protocol: Protocol) -> dict[str, list[int]]:
        """Of each region, in how many cases it is there but none of it was found, by scale."""
        return {
            region: [
                sum(case.true[index] and not case.found[index] for case in row)
                for row in self.scores[protocol]
            ]
            for index, region in enumerate(self.regions)
        }

    def to_dict(self) -> dict[str, Any]:
        """Every value and its statistics over the cases, as plain data."""
        protocols = {}
        for protocol in PROTOCOLS:
            values = {metric: self.values(protocol, metric) for metric in METRICS}
            protocols[protocol] = {
                "values": values,
                "statistics": {
                    metric: {name: [statistics_of(row) for row in rows] for name, rows in v.items()}
                    for metric, v in values.items()
                },
                "missed": self.missed(protocol),
            }
        parts = {
            name: [[getattr(case, name) for case in row] for row in self.commutations]
            for name in ("error", "floor", "agreement")
        }
        return {
            "scales": list(self.scales),
            "regions": list(self.regions),
            "images": list(self.names),
            "protocols": protocols,
            "equivariance": {
                "values": parts,
                "statistics": {k: [statistics_of(row) for row in v] for k, v in parts.items()},
            },
        }


def scale_study(
    segment: Segment,
    volumes: Iterable[Sample],
    regions: Sequence[str],
    spacing: float,
    scales: Sequence[float] = SCALES,
    progress: Callable[[], None] | None = None,
) -> ScaleStudy:
    """Segment every volume at every scale by both protocols; see the module's page.

    Args:
        segment: gives the probabilities (R, D, H, W) of a preprocessed image (M, D, H, W).
        volumes: as they came, with masks; one is held at a time.
        regions: names of the R channels.
        spacing: of the voxels on which the network was trained, in millimetres.
        scales: positive.
        progress: called when a volume is done at one scale.

    Raises:
        ValueError: there are no scales, one is not positive, or a volume has no mask.
    """
    if not scales or not all(math.isfinite(scale) and scale > 0 for scale in scales):
        raise ValueError(f"scales {list(scales)}: name at least one, all positive")
    names: list[str] = []
    scores: dict[Protocol, list[list[CaseScore]]] = {p: [[] for _ in scales] for p in PROTOCOLS}
    commutations: list[list[Commutation]] = [[] for _ in scales]
    for volume in volumes:
        names.append(volume.name)
        case = _Case(volume, spacing, segment)
        for index, scale in enumerate(scales):
            observed, result = case.resampled(scale)
            scores["resampled"][index].append(result)
            scores["spacing"][index].append(case.respaced(scale))
            commutations[index].append(commutation(observed, case.still, scale))
            if progress is not None:
                progress()
    return ScaleStudy(tuple(names), tuple(regions), tuple(scales), scores, commutations)


class _Case:
    """One volume, preprocessed and segmented as it is once."""

    def __init__(self, volume: Sample, spacing: float, segment: Segment) -> None:
        self.native = volume
        self.spacing = spacing
        self.segment = segment
        self.prepared = prepare(volume, spacing=spacing)
        if volume.mask is None or self.prepared.mask is None:
            raise ValueError(f"{volume.name} has no segmentation to compare with")
        self.native_mask = volume.mask
        self.mask = self.prepared.mask
        self.image = self.prepared.values
        self.still = segment(self.image)

    def resampled(self, scale: float) -> tuple[Tensor, CaseScore]:
        """The probabilities for the scaled volume, and their score against the scaled mask."""
        found = self.still if scale == 1 else self.segment(zoom(self.image, scale, dim=3))
        return found, score(found, zoom_mask(self.mask, scale), self.prepared.spacing)

    def respaced(self, scale: float) -> CaseScore:
        """The score at another spacing, on the voxels of the volume as it came."""
        prepared, found = self.prepared, self.still
        if scale != 1:
            prepared = prepare(self.native, spacing=self.spacing / scale)
            found = self.segment(prepared.values)
        return score(restore(prepared, found), self.native_mask, self.native.spacing)


def zoom_mask(mask: Tensor, factor: float) -> Tensor:
    """Masks (*, D, H, W) of 0 and 1 scaled linearly and cut at one half; their own dtype."""
    return (zoom(mask.float(), factor, 3, "linear") > 0.5).to(mask.dtype)


def statistics_of(values: Sequence[float]) -> dict[str, float | None]:
    """Mean, spread and quartiles of what is not NaN; None when nothing is left."""
    known = torch.tensor(values, dtype=torch.float64)
    known = known[~known.isnan()]
    if not len(known):
        return dict.fromkeys(("mean", "std", "minimum", "q1", "median", "q3", "maximum"))
    low, q1, median, q3, high = known.quantile(
        torch.tensor([0, 0.25, 0.5, 0.75, 1], dtype=torch.float64)
    ).tolist()
    return {
        "mean": known.mean().item(),
        "std": known.std().item() if len(known) > 1 else 0.0,
        "minimum": low,
        "q1": q1,
        "median": median,
        "q3": q3,
        "maximum": high,
    }
