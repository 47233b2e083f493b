"""Pictures of one test image: the truth, the prediction, and what turning the image changes."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from experiments.common.inference import probabilities
from experiments.polyp.rotation import inscribed_disc, predict_turned, turn_mask
from experiments.results.figures import picture_row, png_bytes
from experiments.results.metrics import dice
from experiments.results.overlays import PREDICTION, tinted

ANGLES = (45, 90)
"""Degrees by which the image is turned; the mask is shown turned back."""

TRUTH = (0.0, 0.62, 0.45)
TURNED = (0.84, 0.37, 0.0)


def difference(
    before: NDArray[np.bool_], after: NDArray[np.bool_], disc: NDArray[np.bool_]
) -> NDArray[np.floating]:
    """A picture (H, W, 3) of two masks in a disc: grey both, blue the first, orange the second."""
    result = np.ones((*before.shape, 3))
    result[disc] = 0.93
    result[before & after & disc] = 0.6
    result[before & ~after & disc] = PREDICTION
    result[after & ~before & disc] = TURNED
    return result


@torch.no_grad()
def picture(network: nn.Module, image: Tensor, truth: Tensor, corners: str) -> bytes:
    """A row of panels as PNG: image, truth, prediction, and for each angle the mask and its change.

    The change is that between the mask of the upright image and the mask of the turned image turned
    back, both seen with the same `corners`, see `experiments.polyp.rotation`. The image is
    (C, S, S) in [0, 1], the truth (1, S, S) of 0 and 1.
    """
    pixels = image.movedim(0, -1).double().cpu().numpy()
    disc = inscribed_disc(image.shape[-1]).numpy()

    def array(mask: Tensor) -> NDArray[np.bool_]:
        result: NDArray[np.bool_] = mask[0, 0].bool().cpu().numpy()
        return result

    predicted = (probabilities(network, image[None]) > 0.5).float()
    upright = array(predict_turned(network, image[None], 0, corners) > 0.5)
    score = dice(predicted, truth[None].float()).item()
    panels = [
        ("image", pixels),
        ("truth", tinted(pixels, array(truth[None]), TRUTH)),
        (f"prediction, Dice {score:.2f}", tinted(pixels, array(predicted), PREDICTION)),
    ]
    for angle in ANGLES:
        turned = array(turn_mask(predict_turned(network, image[None], angle, corners), -angle))
        panels.append((f"turned {angle}° and back", tinted(pixels, turned & disc, TURNED)))
        panels.append((f"change at {angle}°", difference(upright, turned, disc)))
    return png_bytes(picture_row(panels))
