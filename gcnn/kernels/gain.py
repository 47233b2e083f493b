"""How much a basis amplifies features: what an initialisation that keeps variance must know."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gcnn.filters import Power
from gcnn.geometry import along_axis, ordinary_tensors

_MEAN = 1 / math.pi


@ordinary_tensors()
def expected_gain(functions: Tensor, power: Power | None = None) -> float:
    """`Σ_k E(φ_k * f)² / E f²`, the mean over the elements, for the features f of a network.

    He et al. ("Delving deep into rectifiers", ICCV 2015) take features for white, so that the
    gain is `Σ_k ‖φ_k‖²`. But after a ReLU a share of 1/π of the power is in the mean, and after
    smooth filters neighbouring pixels are alike: the next smooth filter gives several times as
    much. Here features have that mean, and around it the autocorrelation `exp(-(distance / 2s)²)`
    of the smooth part of their power spectrum. For single pixels it makes no difference.

    Args:
        functions: `(K, |H|, *kernel)`, the sampled basis.
        power: the power spectrum expected in features, `filters.Power()` unless given.
    """
    smoothness = (power or Power()).smoothness
    smoothed = functions
    for axis in range(2, functions.ndim):
        places = torch.arange(functions.shape[axis], dtype=functions.dtype)
        distance = places[:, None] - places
        # Features of no smoothness are white: no two pixels are alike.
        alike = torch.exp(-((distance / max(2 * smoothness, 1e-6)) ** 2))
        smoothed = along_axis(smoothed, axis, alike)
    around_mean = (functions * smoothed).sum()
    mean = functions.flatten(2).sum(dim=2).square().sum()
    return float((1 - _MEAN) * around_mean + _MEAN * mean) / functions.shape[1]
