"""The power spectrum of features."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Power:
    """The power spectrum expected in features: `exp(-(smoothness · |ω|)²) + floor`.

    The first term is a smooth image, the second what ReLUs and noise add at all frequencies.

    >>> Power(smoothness=1.0, floor=0.5)(torch.tensor([0.0, 100.0])).tolist()
    [1.5, 0.5]

    Args:
        smoothness: correlation length in pixels; ω is in radians per pixel.
        floor: power at all frequencies up to the Nyquist frequency, relative to the first term.
    """

    smoothness: float = 0.8
    floor: float = 1e-3

    def __post_init__(self) -> None:
        if not (self.smoothness >= 0 and self.floor >= 0):
            raise ValueError(f"smoothness and floor must be at least 0, got {self}")

    def __call__(self, frequency: Tensor) -> Tensor:
        return torch.exp(-((self.smoothness * frequency) ** 2)) + self.floor
