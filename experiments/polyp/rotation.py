"""How well a network's mask turns with the image, from 0° to 360°.

With `p(f)` the foreground probabilities that the network gives for the image `f`, `[·]` the cut at
one half that makes a mask of them, `R` the rotation of an image about its centre and `T` the true
mask, three Dice coefficients are taken inside the inscribed disc:

    agreement   Dice([p(R f)], [R p(f)])      1 for an equivariant network
    control     Dice([R⁻¹ R p(f)], [p(f)])    what interpolation alone costs
    truth       Dice([p(R f)], [R T])         how well the turned image is segmented

Angles are counter-clockwise as displayed. Multiples of 90° permute the pixels and are exact;
between them images are interpolated by cubic splines (and clamped to [0, 1]), probabilities and
masks linearly. The control turns twice where the agreement turns once: an equivariant network may
lie above it. Probabilities are turned before the cut, because turning a mask adds the error of
drawing its outline on the grid a second time: an exactly equivariant filter whose blobs have 60
pixels then comes to .93 at 45° instead of .996, while the way back undoes that error, so that the
control (.996) hides it.

Corners of a square leave the picture when it turns. So that both sides of the comparison see the
same content, the network is shown the disc alone: outside it the image is the mean colour of the
disc, faded in over two pixels. The window is made anew for every angle instead of being turned with
the image, so it is free of interpolation error. `corners="keep"` shows the whole square instead;
between multiples of 90° the corners of the turned image then come out black.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from experiments.common.metrics import dice, probabilities
from gcnn.geometry import rotation, transform

__all__ = [
    "CORNERS",
    "RotationStudy",
    "angles_of",
    "inscribed_disc",
    "predict_turned",
    "rotation_study",
    "turn",
    "turn_mask",
]

CORNERS = ("hide", "keep")
_FEATHER = 2.0


def angles_of(step: float) -> list[float]:
    """The angles 0, step, ..., 360 - step in degrees; `step` divides 90, so that 90° is met."""
    quarter = 90 / step if step > 0 else 0.0
    if round(quarter) < 1 or abs(quarter - round(quarter)) > 1e-9:
        raise ValueError(
            f"the step is {step}°; it must be positive and divide 90°, like 15 or 22.5"
        )
    count = 4 * round(quarter)
    return [360 * index / count for index in range(count)]


def turn(image: Tensor, angle: float) -> Tensor:
    """Images (*, S, S) in [0, 1] turned by `angle` degrees, counter-clockwise as displayed."""
    return transform(image, rotation(angle), "cubic").clamp(0, 1)


def turn_mask(mask: Tensor, angle: float) -> Tensor:
    """Masks or probabilities (*, S, S) turned by `angle` degrees and cut at one half: 0 and 1."""
    return _cut(transform(mask, rotation(angle), "linear"))


def _cut(probability: Tensor) -> Tensor:
    return (probability > 0.5).to(probability.dtype)


def _radius(size: int) -> Tensor:
    axis = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    return (axis[:, None] ** 2 + axis[None, :] ** 2).sqrt()


def inscribed_disc(size: int) -> Tensor:
    """Boolean mask (size, size) of the pixels whose centres lie in the inscribed disc."""
    return _radius(size) <= (size - 1) / 2 + 1e-9


def hide_corners(image: Tensor, colour: Tensor) -> Tensor:
    """Images (B, C, S, S) that fade to `colour` (B, C, 1, 1) outside the inscribed disc."""
    size = image.shape[-1]
    window = (((size - 1) / 2 + 0.5 - _radius(size)) / _FEATHER).clamp(0, 1).to(image)
    return window * image + (1 - window) * colour


def predict_turned(
    network: nn.Module, images: Tensor, angle: float, corners: str = "hide", batch_size: int = 16
) -> Tensor:
    """Probabilities (B, 1, S, S) for images (B, C, S, S) turned by `angle` degrees: `p(R f)`."""
    if corners not in CORNERS:
        raise ValueError(f"corners must be one of {CORNERS}, not {corners!r}")
    turned = turn(images, angle)
    if corners == "hide":
        colour = images[..., inscribed_disc(images.shape[-1])].mean(-1)[..., None, None]
        turned = hide_corners(turned, colour)
    return probabilities(network, turned, batch_size)


@dataclass(frozen=True)
class RotationStudy:
    """Dice coefficients of shape (angles, images); NaN where neither mask has a pixel in the disc.

    Two empty masks agree at every angle, which says nothing about equivariance: such pairs are left
    out of `agreement` and `control`, and counted. `truth` follows `experiments.common.metrics`.
    """

    names: tuple[str, ...]
    angles: tuple[float, ...]
    corners: str
    agreement: Tensor
    control: Tensor
    truth: Tensor

    def to_dict(self) -> dict[str, Any]:
        """Per-angle statistics, the summary and the values of every image, as plain data."""
        curves = {"agreement": self.agreement, "control": self.control, "truth": self.truth}
        return {
            "angles": list(self.angles),
            "corners": self.corners,
            "images": list(self.names),
            "empty_pairs": int(self.agreement.isnan().sum()),
            "curves": {name: [_statistics(row) for row in v] for name, v in curves.items()},
            "summary": self.summary(),
            "values": {name: [_plain(row) for row in v] for name, v in curves.items()},
        }

    def summary(self) -> dict[str, dict[str, float | None]]:
        """For each curve, mean and minimum over images at 0°, at 90, 180, 270°, and between."""
        quarter = torch.tensor([angle % 90 == 0 for angle in self.angles])
        upright = torch.tensor([angle == 0 for angle in self.angles])
        parts = {"upright": upright, "quarter": quarter & ~upright, "between": ~quarter}
        curves = {"agreement": self.agreement, "control": self.control, "truth": self.truth}
        return {
            curve: {
                f"{part}_{name}": _statistics(values[chosen])[name]
                for part, chosen in parts.items()
                for name in ("mean", "minimum")
            }
            for curve, values in curves.items()
        }


def rotation_study(
    network: nn.Module,
    images: Tensor,
    truths: Tensor,
    names: Sequence[str],
    step: float = 15.0,
    corners: str = "hide",
    batch_size: int = 16,
    progress: Callable[[float], None] | None = None,
) -> RotationStudy:
    """Turn every image through the full circle and compare the masks; see the module's page.

    Args:
        network: from (B, C, S, S) to logits (B, 1, S, S).
        images: (N, C, S, S) in [0, 1].
        truths: (N, 1, S, S) of 0 and 1.
        names: of the N images.
        step: between the angles, in degrees; divides 90.
        corners: one of `CORNERS`.
        batch_size: images that go through the network at a time.
        progress: called with each angle when it is done.

    Raises:
        ValueError: other shapes, names that do not match, another step or corners.
    """
    _check(images, truths, names)
    angles = angles_of(step)
    disc = inscribed_disc(images.shape[-1]).to(images.device)
    upright = predict_turned(network, images, 0, corners, batch_size)
    rows: list[tuple[Tensor, Tensor, Tensor]] = []
    for angle in angles:
        predicted = _cut(
            upright if angle == 0 else predict_turned(network, images, angle, corners, batch_size)
        )
        there = transform(upright, rotation(angle), "linear")
        rows.append(
            (
                _agreement(predicted * disc, _cut(there) * disc),
                _agreement(turn_mask(there, -angle) * disc, _cut(upright) * disc),
                dice(predicted * disc, turn_mask(truths, angle).to(predicted) * disc),
            )
        )
        if progress is not None:
            progress(angle)
    agreement, control, truth = (torch.stack(curve).cpu() for curve in zip(*rows, strict=True))
    return RotationStudy(tuple(names), tuple(angles), corners, agreement, control, truth)


def _agreement(first: Tensor, second: Tensor) -> Tensor:
    empty = (first + second).flatten(1).sum(1) == 0
    return dice(first, second).masked_fill(empty, float("nan"))


def _check(images: Tensor, truths: Tensor, names: Sequence[str]) -> None:
    if images.ndim != 4 or images.shape[-1] != images.shape[-2] or len(images) == 0:
        raise ValueError(f"images must be (N, C, S, S) with N ≥ 1, not {tuple(images.shape)}")
    if truths.shape != (len(images), 1, *images.shape[-2:]):
        raise ValueError(
            f"masks of shape {tuple(truths.shape)} do not go with images {tuple(images.shape)}"
        )
    if len(names) != len(images):
        raise ValueError(f"{len(names)} names for {len(images)} images")


def _statistics(values: Tensor) -> dict[str, float | None]:
    """Mean, minimum and quartiles of what is not NaN; None when nothing is left."""
    known = values[~values.isnan()]
    if known.numel() == 0:
        return dict.fromkeys(("mean", "minimum", "q1", "median", "q3"))
    q1, median, q3 = known.quantile(known.new_tensor([0.25, 0.5, 0.75])).tolist()
    mean, minimum = known.mean().item(), known.min().item()
    return {"mean": mean, "minimum": minimum, "q1": q1, "median": median, "q3": q3}


def _plain(row: Tensor) -> list[float | None]:
    return [None if math.isnan(value) else value for value in row.tolist()]
