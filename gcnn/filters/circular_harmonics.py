"""Circular harmonics on Gaussian rings, the classical steerable basis."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gcnn.filters.steerable import CircularFunctions, SteerableBasis
from gcnn.geometry import grid_points


@dataclass(frozen=True)
class CircularHarmonics(SteerableBasis):
    """ψ(r, φ) = exp(inφ) exp(-(r - j)² / 2σ²) for rings j = 0, 1, …, k // 2.

    At the centre pixel only n = 0 differs from zero; ring j carries the frequencies up to
    `min(2j, max_frequency)`, no more than its circumference can; and the outermost ring is
    narrower and one frequency poorer, so that the square window cuts off as little of it as
    possible (Weiler, Hamprecht and Storath, "Learning steerable filters for rotation equivariant
    CNNs", CVPR 2018).

    >>> CircularHarmonics().sample(torch.eye(2, dtype=torch.float64)[None], kernel_size=5).shape
    torch.Size([11, 1, 5, 5])

    Args:
        max_frequency: the largest angular frequency of any ring but the outermost.
        width: σ of the rings, in pixels.
        outer_width: σ of the outermost ring, in pixels.
    """

    max_frequency: int = 3
    width: float = 0.6
    outer_width: float = 0.4

    def __post_init__(self) -> None:
        if self.max_frequency < 1:
            raise ValueError(f"max_frequency must be at least 1, got {self.max_frequency}")
        for name in ("width", "outer_width"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")

    def circular_functions(self, kernel_size: int) -> CircularFunctions:
        x, y = grid_points((kernel_size, kernel_size)).unbind(-1)
        radius, angle = torch.hypot(x, y), torch.atan2(y, x)
        functions = torch.stack(
            [
                torch.exp(-((radius - ring) ** 2) / (2 * sigma**2)) * torch.exp(1j * n * angle)
                for ring, sigma, n in self._rings(kernel_size)
            ]
        )
        frequencies = torch.tensor([n for _, _, n in self._rings(kernel_size)])
        turning = frequencies[:, None, None] > 0
        functions = torch.where((radius == 0) & turning, 0, functions)
        return CircularFunctions(frequencies, functions).normalised()

    def count(self, kernel_size: int) -> int:
        """K, the number of real functions in a kernel of this size."""
        return sum(2 if n else 1 for _, _, n in self._rings(kernel_size))

    def _rings(self, kernel_size: int) -> list[tuple[float, float, int]]:
        """Radius, width and angular frequency of every function."""
        outermost = (kernel_size - 1) / 2
        rings = []
        for index in range(int(outermost) + 1):
            ring = outermost % 1 + index
            is_outermost = 0 < ring == outermost
            limit = self.max_frequency - 1 if is_outermost else self.max_frequency
            sigma = self.outer_width if is_outermost else self.width
            rings += [(ring, sigma, n) for n in range(min(int(2 * ring), limit) + 1)]
        return rings
