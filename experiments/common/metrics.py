"""Overlap and distance of predicted and true masks, case by case, and their summary over the cases.

Scores are those of hard masks unless they are called soft. The Dice coefficient
`2|A ∩ B| / (|A| + |B|)` and the intersection over union `|A ∩ B| / |A ∪ B|` are 0/0 when both
masks are empty; the convention is

- both masks empty: 1, the network rightly found nothing;
- exactly one of them empty: 0.

The soft Dice coefficient takes the probabilities p instead of a mask, `2 Σ p t / (Σ p + Σ t)`,
without squares in the denominator; it is reported beside the hard one because papers report it,
and lies below it wherever a network is unsure.

The 95 % Hausdorff distance is the larger of the two directed ones, each the 95th percentile of the
distances from the surface of one mask to that of the other. It is not defined for an empty mask;
the convention, that of the BraTS challenge, is

- both masks empty: 0;
- exactly one of them empty: the diagonal of the volume, its number of voxels times their spacing
  along each axis (373.13 mm for 240 x 240 x 155 voxels of 1 mm).

Outliers are the cases beyond Tukey's fence on the bad side, as in box plots: below
`Q1 - 1.5 (Q3 - Q1)`, or above `Q3 + 1.5 (Q3 - Q1)` where high values are bad.
"""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from monai.inferers.utils import sliding_window_inference
from monai.metrics.hausdorff_distance import compute_hausdorff_distance
from monai.metrics.meandice import compute_dice
from monai.metrics.meaniou import compute_iou
from torch import Tensor, nn

__all__ = [
    "Summary",
    "bad_values",
    "dice",
    "dice_by_region",
    "hausdorff_95",
    "iou",
    "iou_by_region",
    "probabilities",
    "soft_dice",
    "summarise",
]

_OVERLAP = 0.25


@torch.no_grad()
def probabilities(
    network: nn.Module, images: Tensor, batch_size: int = 16, window: Sequence[int] | None = None
) -> Tensor:
    """Probabilities of a network with a sigmoid for each output channel, in eval mode.

    The network is left in the mode, train or eval, in which it came.

    Args:
        network: from images to logits.
        images: (B, C, *space).
        batch_size: how many images, or windows, go through at a time.
        window: the largest size that goes through the network at once. Images that are larger along
            any axis are seen through windows of this size that overlap by a quarter; where they
            overlap, the mean of the probabilities weighted by a Gaussian about the centre of each
            window counts. None: whole images.

    Returns:
        (B, regions, *space), on the device of the images.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; it must be at least 1")
    space = images.shape[2:]
    if window is not None and (len(window) != len(space) or min(window) < 1):
        raise ValueError(f"a window {tuple(window)} does not fit images of size {tuple(space)}")
    training = network.training
    # A network that is in eval mode already keeps what it has cached there.
    if training:
        network.eval()
    try:
        if window is None or all(n <= w for n, w in zip(space, window, strict=True)):
            parts = torch.split(images, batch_size)
            return torch.cat([_sigmoid(network, part) for part in parts])
        found = sliding_window_inference(
            images,
            [min(n, w) for n, w in zip(space, window, strict=True)],
            batch_size,
            lambda part: _sigmoid(network, part),
            overlap=_OVERLAP,
            mode="gaussian",
        )
        return torch.as_tensor(found)
    finally:
        if training:
            network.train()


def _sigmoid(network: nn.Module, images: Tensor) -> Tensor:
    logits: Tensor = network(images)
    return logits.float().sigmoid()


def dice(prediction: Tensor, truth: Tensor) -> Tensor:
    """Dice coefficient of each case: masks (B, 1, *space) of 0 and 1 in, shape (B,) out."""
    return _single(dice_by_region, prediction, truth)


def iou(prediction: Tensor, truth: Tensor) -> Tensor:
    """Intersection over union of each case: masks (B, 1, *space) of 0 and 1 in, shape (B,) out."""
    return _single(iou_by_region, prediction, truth)


def dice_by_region(prediction: Tensor, truth: Tensor) -> Tensor:
    """Dice coefficient of each case and region, from masks of 0 and 1.

    Args:
        prediction, truth: (B, regions, *space); regions may overlap.

    Returns:
        (B, regions), float64.
    """
    _check(prediction, truth)
    value: Tensor = compute_dice(prediction.float(), truth.float(), ignore_empty=False)
    return value.double()


def iou_by_region(prediction: Tensor, truth: Tensor) -> Tensor:
    """Intersection over union of each case and region; shapes as for `dice_by_region`."""
    _check(prediction, truth)
    value: Tensor = compute_iou(prediction.float(), truth.float(), ignore_empty=False)
    return value.double()


def soft_dice(probability: Tensor, truth: Tensor) -> Tensor:
    """Soft Dice coefficient `2 Σ p t / (Σ p + Σ t)` of each case and region.

    Where no voxel is true it is 0, unless all probabilities are 0 too: then 1.

    Args:
        probability: (B, regions, *space), from 0 to 1.
        truth: of the same shape, 0 and 1.

    Returns:
        (B, regions), float64.
    """
    _check_shapes(probability, truth)
    _check_binary("truth", truth)
    if not bool(((probability >= 0) & (probability <= 1)).all()):
        raise ValueError("there are probabilities outside [0, 1]; apply a sigmoid to logits first")
    p, t = probability.double().flatten(2), truth.double().flatten(2)
    total = p.sum(2) + t.sum(2)
    return torch.where(total > 0, 2 * (p * t).sum(2) / total.clamp(min=1e-300), 1.0)


def hausdorff_95(prediction: Tensor, truth: Tensor, spacing: Sequence[float]) -> Tensor:
    """95 % Hausdorff distance of each case and region, in the unit of the spacing (mm).

    Args:
        prediction, truth: masks (B, regions, *space) of 0 and 1.
        spacing: size of a voxel along each axis of space.

    Returns:
        (B, regions), float64, on the CPU; see the page of the module for empty masks.
    """
    _check(prediction, truth)
    space = prediction.shape[2:]
    if len(spacing) != len(space) or min(spacing) <= 0:
        raise ValueError(f"a spacing {tuple(spacing)} does not fit masks of size {tuple(space)}")
    prediction, truth = prediction.cpu(), truth.cpu()
    found, true = prediction.flatten(2).any(2), truth.flatten(2).any(2)
    diagonal = math.sqrt(sum((n * mm) ** 2 for n, mm in zip(space, spacing, strict=True)))
    value = torch.where(found == true, 0.0, diagonal).double()
    for case, region in (found & true).nonzero().tolist():
        one, other = (mask[case, region][None, None].float() for mask in (prediction, truth))
        with warnings.catch_warnings():
            # MONAI calls one of its functions with an argument that it deprecates.
            warnings.simplefilter("ignore", FutureWarning)
            distance = compute_hausdorff_distance(
                one, other, include_background=True, percentile=95, spacing=list(spacing)
            )
        value[case, region] = distance.item()
    return value


def _single(
    metric: Callable[[Tensor, Tensor], Tensor], prediction: Tensor, truth: Tensor
) -> Tensor:
    for mask in (prediction, truth):
        if mask.ndim < 3 or mask.shape[1] != 1:
            raise ValueError(
                f"masks of shapes {tuple(prediction.shape)} and {tuple(truth.shape)}; "
                "both must be (cases, 1, *space)"
            )
    return metric(prediction, truth)[:, 0]


def _check(prediction: Tensor, truth: Tensor) -> None:
    _check_shapes(prediction, truth)
    _check_binary("prediction", prediction)
    _check_binary("truth", truth)


def _check_shapes(prediction: Tensor, truth: Tensor) -> None:
    if prediction.shape != truth.shape or prediction.ndim < 3:
        raise ValueError(
            f"masks of shapes {tuple(prediction.shape)} and {tuple(truth.shape)}; "
            "both must be (cases, regions, *space)"
        )


def _check_binary(name: str, mask: Tensor) -> None:
    if not bool(((mask == 0) | (mask == 1)).all()):
        raise ValueError(f"the {name} has values other than 0 and 1; threshold it first")


@dataclass(frozen=True)
class Summary:
    """What a box plot shows of one metric, and which cases fall beyond its fence.

    `std` is the sample standard deviation (0 for a single case), the quartiles are interpolated
    linearly, `fence` is `q1 - 1.5 (q3 - q1)`, or `q3 + 1.5 (q3 - q1)` where high values are bad,
    and `outliers` maps the names of the cases beyond it to their values, the worst first.
    """

    count: int
    mean: float
    std: float
    minimum: float
    q1: float
    median: float
    q3: float
    maximum: float
    fence: float
    outliers: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """The same as plain data, for JSON."""
        return asdict(self)


def bad_values(metric: str) -> Literal["low", "high"]:
    """Which values of a metric are the bad ones: of a distance the high ones, else the low ones."""
    return "high" if metric == "hausdorff_95" else "low"


def summarise(values: Mapping[str, float], bad: Literal["low", "high"] = "low") -> Summary:
    """Summary of one metric over named cases; `bad` says which values are outliers.

    Raises:
        ValueError: there are no cases, or a value is not finite.
    """
    if not values:
        raise ValueError("there are no cases to summarise")
    for name, value in values.items():
        if not np.isfinite(value):
            raise ValueError(f"the value of case {name!r} is {value}; it must be finite")
    numbers = np.array(list(values.values()), dtype=float)
    q1, median, q3 = (float(q) for q in np.quantile(numbers, [0.25, 0.5, 0.75]))
    sign = 1 if bad == "low" else -1
    fence = (q1 if bad == "low" else q3) - sign * 1.5 * (q3 - q1)
    beyond = [item for item in values.items() if sign * item[1] < sign * fence]
    beyond.sort(key=lambda item: sign * item[1])
    return Summary(
        count=len(numbers),
        mean=float(numbers.mean()),
        std=float(numbers.std(ddof=1)) if len(numbers) > 1 else 0.0,
        minimum=float(numbers.min()),
        q1=q1,
        median=median,
        q3=q3,
        maximum=float(numbers.max()),
        fence=fence,
        outliers={name: float(value) for name, value in beyond},
    )
