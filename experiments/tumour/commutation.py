"""How far the outlines of a network are from changing in size with the volume.

It is seen without the truth. With `p(f)` the probabilities that the network gives for the volume f
and S the scaling about the centre,

    error       2 ‖p(S f) - S p(f)‖ / (‖p(S f)‖ + ‖S p(f)‖)
    floor       half the error of p(f) scaled there and back: what interpolation alone costs
    agreement   Dice([p(S f)], [S p(f)])

where [·] cuts at one half. An equivariant network has error 0 and agreement 1. The sum in the
denominator bounds the error by 2, also for a network that finds nothing at one of the scales. The
whole volume is compared: outside it there is nothing that one side could see and the other not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from experiments.common.metrics import dice_by_region
from gcnn.geometry import zoom

__all__ = ["Commutation", "commutation"]


@dataclass(frozen=True)
class Commutation:
    """How far a network is from commuting with one scaling of one case; see the module's page.

    `agreement` is NaN where both masks are empty: they agree, but say nothing.
    """

    error: float
    floor: float
    agreement: float


def commutation(observed: Tensor, still: Tensor, factor: float) -> Commutation:
    """Compare `observed` = p(S f) with S p(f).

    Args:
        observed: probabilities (R, ...) for the scaled volume.
        still: probabilities (R, D, H, W) for the volume as it is.
        factor: by which it was scaled.
    """
    expected = zoom(still, factor, dim=3).clamp(0, 1)
    back = zoom(expected, 1 / factor, dim=3, size=still.shape[-3:]).clamp(0, 1)
    masks = [(p > 0.5).float()[None] for p in (observed, expected)]
    known = masks[0].flatten(2).any(2) | masks[1].flatten(2).any(2)
    agreement = dice_by_region(*masks)[known]
    return Commutation(
        _relative(observed, expected),
        _relative(still, back) / 2,
        agreement.mean().item() if len(agreement) else math.nan,
    )


def _relative(one: Tensor, other: Tensor) -> float:
    size = one.double().norm() + other.double().norm()
    return float(2 * (one.double() - other.double()).norm() / size.clamp(min=1e-300))
