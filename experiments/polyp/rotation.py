"""How well a network's mask turns with the image, from 0° to 360°.

With `p(f)` the foreground probabilities that the network gives for the image `f`, `[·]` the cut at
one half that makes a mask of them, `R` the rotation of an image about its centre and `T` the true
mask, three Dice coefficients are taken inside the inscribed disc:

    agreement   Dice([p(R f)], [R p(f)])      1 for an equivariant network
    control     Dice([R⁻¹ R p(f)], [p(f)])    what interpolation alone costs
    dice        Dice([p(R f)], [R T])         how well the turned image is segmented

Angles are counter-clockwise as displayed. Multiples of 90° permute the pixels and are exact;
between them images are interpolated by cubic splines (and clamped to [0, 1]), probabilities and
masks linearly. The control turns twice where the agreement turns once: an equivariant network may
lie above it. Probabilities are turned before the cut, because turning a mask adds the error of
drawing its outline on the grid a second time: an exactly equivariant filter whose blobs have 60
pixels then comes to .93 at 45° instead of .996, while the way back undoes that error, so that the
control (.996) hides it. Two empty masks agree at every angle, which says nothing: they are NaN.

Corners of a square leave the picture when it turns. So that both sides of the comparison see the
same content, the network is shown the disc alone: outside it the image is the mean colour of the
disc, faded in over two pixels. The window is made anew for every angle instead of being turned with
the image, so it is free of interpolation error. `corners="keep"` shows the whole square instead;
between multiples of 90° the corners of the turned image then come out black.
"""

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor, nn

from experiments.common.inference import probabilities
from experiments.results.evaluation import followed
from experiments.results.frames import Frames, spread
from experiments.results.metrics import dice, overlap
from experiments.results.table import rows_of
from gcnn.geometry import rotation, transform

SMALLEST_STEP = 0.1
_FEATHER = 2.0
_FRAMES = 24


def angles_of(step: float) -> list[float]:
    """The angles 0, step, ..., 360 - step in degrees; `step` divides 90, so that 90° is met."""
    if 0 < step < SMALLEST_STEP:
        raise ValueError(
            f"the step is {step}°, which makes {360 / step:.4g} angles; it must be at least "
            f"{SMALLEST_STEP}°, which makes {360 / SMALLEST_STEP:.0f}"
        )
    if not 0 < step <= 90 or abs(90 / step - round(90 / step)) > 1e-9:
        raise ValueError(
            f"the step is {step}°; it must be positive and divide 90°, like 15 or 22.5"
        )
    count = 4 * round(90 / step)
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
    network: nn.Module, images: Tensor, angle: float, corners: str = "hide"
) -> Tensor:
    """Probabilities (B, R, S, S) for images (B, C, S, S) turned by `angle` degrees: `p(R f)`."""
    turned = turn(images, angle)
    if corners == "hide":
        colour = images[..., inscribed_disc(images.shape[-1])].mean(-1)[..., None, None]
        turned = hide_corners(turned, colour)
    return probabilities(network, turned)


def measure_rotation(
    network: nn.Module,
    images: Tensor,
    truths: Tensor,
    names: Sequence[str],
    regions: Sequence[str],
    angles: Sequence[float],
    corners: str = "hide",
) -> tuple[pd.DataFrame, Frames]:
    """Turn N images (N, C, S, S) and their masks (N, R, S, S) through the angles.

    Returns:
        Rows of the table of results, and one image turned through at most 24 of the angles: that
        whose true mask has the median size.
    """
    disc = inscribed_disc(images.shape[-1]).to(images.device)
    upright = predict_turned(network, images, 0, corners)
    shown = int(truths.flatten(1).sum(1).argsort()[len(truths) // 2])
    stops = [angles[index] for index in spread(len(angles), _FRAMES)]
    frames = Frames(names[shown], {"turned by": [f"{angle:g}°" for angle in stops]})
    tables = []
    for angle in followed(angles, len(angles), "turning the test images"):
        found = _cut(predict_turned(network, images, angle, corners)) * disc
        expected = transform(upright, rotation(angle), "linear")
        true = turn_mask(truths, angle).to(found) * disc
        moved = {
            "agreement": _agreement(found, _cut(expected) * disc),
            "control": _agreement(turn_mask(expected, -angle) * disc, _cut(upright) * disc),
        }
        scored = overlap(found, true)
        scored = {name: scored[name] for name in ("dice", "found")}
        for values, present in ((moved, True), (scored, true.flatten(2).any(2))):
            tables.append(rows_of(values, names, regions, "rotation", angle, present))
        if angle in stops:
            frames.add(
                turn(images[shown], angle)[:3].movedim(0, -1).squeeze(-1).cpu().numpy(),
                true[shown].bool().cpu().numpy(),
                found[shown].bool().cpu().numpy(),
                f"turned by {angle:g}°, Dice {scored['dice'][shown].mean().item():.2f}",
            )
    return pd.concat(tables, ignore_index=True), frames


def _agreement(first: Tensor, second: Tensor) -> Tensor:
    empty = (first + second).flatten(2).sum(2) == 0
    return dice(first, second).masked_fill(empty, float("nan"))
