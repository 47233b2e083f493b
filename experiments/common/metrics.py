"""Overlap of a predicted mask with the true one, case by case, and its summary over the cases.

Everything is computed on hard masks. The Dice coefficient `2|A ∩ B| / (|A| + |B|)` and the
intersection over union `|A ∩ B| / |A ∪ B|` are 0/0 when both masks are empty; the convention is

- both masks empty: 1, the network rightly found nothing;
- exactly one of them empty: 0.

Outliers are the cases below `Q1 - 1.5 (Q3 - Q1)`: Tukey's lower fence, the one of box plots.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from monai.metrics.meandice import compute_dice
from monai.metrics.meaniou import compute_iou
from torch import Tensor, nn

__all__ = ["Summary", "dice", "iou", "probabilities", "summarise"]


@torch.no_grad()
def probabilities(network: nn.Module, images: Tensor, batch_size: int = 16) -> Tensor:
    """Foreground probabilities of a network with one output channel, in eval mode.

    The network is left in the mode, train or eval, in which it came.

    Args:
        network: from images to logits.
        images: (B, C, *space).
        batch_size: how many images go through at a time.

    Returns:
        (B, 1, *space), on the device of the images.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; it must be at least 1")
    training = network.training
    # A network that is in eval mode already keeps what it has cached there.
    if training:
        network.eval()
    try:
        logits = [network(part) for part in torch.split(images, batch_size)]
    finally:
        if training:
            network.train()
    return torch.cat(logits).float().sigmoid()


def dice(prediction: Tensor, truth: Tensor) -> Tensor:
    """Dice coefficient of each case: masks (B, 1, *space) of 0 and 1 in, shape (B,) out."""
    _check(prediction, truth)
    value: Tensor = compute_dice(prediction.float(), truth.float(), ignore_empty=False)
    return value[:, 0].double()


def iou(prediction: Tensor, truth: Tensor) -> Tensor:
    """Intersection over union of each case: masks (B, 1, *space) of 0 and 1 in, shape (B,) out."""
    _check(prediction, truth)
    value: Tensor = compute_iou(prediction.float(), truth.float(), ignore_empty=False)
    return value[:, 0].double()


def _check(prediction: Tensor, truth: Tensor) -> None:
    if prediction.shape != truth.shape or prediction.ndim < 3 or prediction.shape[1] != 1:
        raise ValueError(
            f"masks of shapes {tuple(prediction.shape)} and {tuple(truth.shape)}; "
            "both must be (cases, 1, *space)"
        )
    for name, mask in (("prediction", prediction), ("truth", truth)):
        if not bool(((mask == 0) | (mask == 1)).all()):
            raise ValueError(f"the {name} has values other than 0 and 1; threshold it first")


@dataclass(frozen=True)
class Summary:
    """What a box plot shows of one metric, and which cases fall below its lower fence.

    `std` is the sample standard deviation (0 for a single case), the quartiles are interpolated
    linearly, `fence` is `q1 - 1.5 (q3 - q1)`, and `outliers` maps the names of the cases below it
    to their values, the worst first.
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


def summarise(values: Mapping[str, float]) -> Summary:
    """Summary of one metric over named cases; `ValueError` for no cases, or one not finite."""
    if not values:
        raise ValueError("there are no cases to summarise")
    for name, value in values.items():
        if not np.isfinite(value):
            raise ValueError(f"the value of case {name!r} is {value}; it must be finite")
    numbers = np.array(list(values.values()), dtype=float)
    q1, median, q3 = (float(q) for q in np.quantile(numbers, [0.25, 0.5, 0.75]))
    fence = q1 - 1.5 * (q3 - q1)
    below = sorted((item for item in values.items() if item[1] < fence), key=lambda item: item[1])
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
        outliers={name: float(value) for name, value in below},
    )
