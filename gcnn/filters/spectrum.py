"""The spectra of single pixels, on circles of spatial frequency."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gcnn.filters.power import Power
from gcnn.geometry import grid_points

_RADII = 64
_ANGLES = 64


@dataclass(frozen=True)
class PixelSpectra:
    """Spectra sampled in polar coordinates within the Nyquist disc, |ω| < π.

    Attributes:
        values: `(R, A, k²)` complex: the spectrum of every pixel at radius r and angle a.
        weights: `(R,)`: power times area of a circle, summing to 1.
        angles: `(A,)` in radians.
    """

    values: Tensor
    weights: Tensor
    angles: Tensor

    def power(self) -> Tensor:
        """C `(k², k²)`: `b^H C b` is the power of filter b's response to the features."""
        weighted = self.values * self.weights[:, None, None] / len(self.angles)
        return torch.einsum("rap,raq->pq", self.values.conj(), weighted)

    def turning_power(self, frequency: int) -> Tensor:
        """S_n `(k², k²)`: the part of that power whose spectrum turns as `exp(inφ)`."""
        phase = torch.exp(-1j * frequency * self.angles) / len(self.angles)
        components = torch.einsum("rap,a->rp", self.values, phase)
        return components.mH @ (components * self.weights[:, None])


def pixel_spectra(kernel_size: int, power: Power) -> PixelSpectra:
    """The spectra of the pixels of a k×k kernel, by Gauss-Legendre quadrature in |ω|."""
    nodes, weights = np.polynomial.legendre.leggauss(_RADII)
    radii = torch.from_numpy((nodes + 1) * math.pi / 2)
    density = torch.from_numpy(weights) * radii * power(radii)
    angles = torch.arange(_ANGLES, dtype=torch.float64) * (2 * math.pi / _ANGLES)
    directions = torch.stack([angles.cos(), angles.sin()], dim=-1)
    places = grid_points((kernel_size, kernel_size)).flatten(0, 1)
    values = torch.exp(-1j * radii[:, None, None] * (directions @ places.T))
    return PixelSpectra(values, density / density.sum(), angles)
