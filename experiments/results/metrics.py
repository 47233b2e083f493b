"""Overlap and distance of predicted and true masks, for every case and region.

All functions take masks or probabilities (cases, regions, *space) and give float64 values (cases,
regions). Regions may overlap. Where a mask is empty a score may be 0/0; the conventions are those
of the BraTS challenge where it has one:

- Dice and IoU: 1 when both masks are empty, 0 when exactly one is;
- 95 % Hausdorff distance: 0 when both are empty; when exactly one is, the diagonal of the volume,
  its number of voxels times their spacing along each axis (373.13 mm for 240 x 240 x 155 voxels of
  1 mm);
- precision is undefined (NaN) when nothing was found, recall when there is nothing to find.

An absent region that is rightly left empty thus scores 1, which says nothing about outlines: the
summaries leave absent regions out and count what was found of them apart (`statistics`).

The soft Dice coefficient takes the probabilities p instead of a mask, `2 Σ p t / (Σ p + Σ t)`,
without squares in the denominator; it is below the hard one wherever a network is unsure.
"""

import math
import warnings
from collections.abc import Sequence

import torch
from monai.metrics.confusion_matrix import compute_confusion_matrix_metric, get_confusion_matrix
from monai.metrics.hausdorff_distance import compute_hausdorff_distance
from torch import Tensor

HIGH_IS_BAD = frozenset({"hausdorff_95", "error", "own", "floor"})
"""Metrics of which high values are the bad ones."""

_MONAI = {"dice": "f1 score", "iou": "threat score", "precision": "precision", "recall": "recall"}


def overlap(prediction: Tensor, truth: Tensor) -> dict[str, Tensor]:
    """Dice, IoU, precision, recall, and `found`, the number of pixels marked."""
    counts = get_confusion_matrix(prediction.float(), truth.float()).double()
    values = {k: compute_confusion_matrix_metric(name, counts) for k, name in _MONAI.items()}
    values |= {name: values[name].nan_to_num(nan=1.0) for name in ("dice", "iou")}
    return values | {"found": counts[..., 0] + counts[..., 1]}


def dice(prediction: Tensor, truth: Tensor) -> Tensor:
    """The Dice coefficient `2|A ∩ B| / (|A| + |B|)` of masks of 0 and 1."""
    return overlap(prediction, truth)["dice"]


def soft_dice(probability: Tensor, truth: Tensor) -> Tensor:
    """The soft Dice coefficient: 0 where no voxel is true, unless all probabilities are 0 too."""
    p, t = probability.double().flatten(2), truth.double().flatten(2)
    total = p.sum(2) + t.sum(2)
    return torch.where(total > 0, 2 * (p * t).sum(2) / total.clamp(min=1e-300), 1.0)


def hausdorff_95(prediction: Tensor, truth: Tensor, spacing: Sequence[float]) -> Tensor:
    """The larger of the 95th percentiles of the two directed distances between the surfaces.

    `spacing`, the size of a voxel along each axis of space, gives the unit (mm).
    """
    prediction, truth = prediction.cpu().float(), truth.cpu().float()
    with warnings.catch_warnings():
        # MONAI warns of empty masks, and calls one of its functions as it deprecates.
        warnings.simplefilter("ignore")
        distance = compute_hausdorff_distance(
            prediction, truth, include_background=True, percentile=95, spacing=list(spacing)
        )
    found, true = prediction.flatten(2).any(2), truth.flatten(2).any(2)
    diagonal = math.hypot(*(n * mm for n, mm in zip(truth.shape[2:], spacing, strict=True)))
    alone = torch.where(found == true, 0.0, diagonal).double()
    return torch.where(found & true, distance.double(), alone)


def scores(
    probability: Tensor, truth: Tensor, spacing: Sequence[float] | None = None
) -> dict[str, Tensor]:
    """Every metric of probabilities cut at one half; with a spacing, soft Dice and HD95 too."""
    found = (probability > 0.5).to(probability.dtype)
    values = overlap(found, truth)
    if spacing is not None:
        values["soft_dice"] = soft_dice(probability, truth)
        values["hausdorff_95"] = hausdorff_95(found, truth, spacing)
    return values
