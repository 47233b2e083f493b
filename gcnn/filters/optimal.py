"""The steerable functions that a kernel of k×k pixels represents best."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from gcnn.filters.circular_harmonics import CircularHarmonics
from gcnn.filters.lattice_symmetry import lattice_harmonics
from gcnn.filters.power import Power
from gcnn.filters.spectrum import PixelSpectra, pixel_spectra
from gcnn.filters.steerable import CircularFunctions, SteerableBasis

_INDEPENDENT = 1e-3


@dataclass(frozen=True)
class OptimalSteerable(SteerableBasis):
    """The filters whose spectra turn best, instead of guessed ones.

    A filter b steers by `exp(-inθ)` as far as its spectrum turns as `exp(inφ)`. The share that
    does not, `λ = b^H (C - S_n) b / b^H C b`, is its squared equivariance error on features with
    the given power spectrum. The smallest λ for every frequency n are eigenvalues of a problem of
    size k²/4, and the functions with the smallest of all span the best space of filters there is.

    Within that space the functions are the principal components of features with that power
    spectrum, each scaled by its standard deviation: independent weights of equal variance draw
    filters that look like the features. All turn exactly by 90°.

    >>> still = torch.eye(2, dtype=torch.float64)[None]
    >>> OptimalSteerable(functions=7).sample(still, kernel_size=5).shape
    torch.Size([7, 1, 5, 5])

    Args:
        power: the power spectrum expected in the features.
        functions: K, how many real functions; by default as many as `CircularHarmonics` has (6,
            11, 18 for kernels of 3, 5, 7 pixels).
    """

    power: Power = field(default_factory=Power)
    functions: int | None = None

    def circular_functions(self, kernel_size: int) -> CircularFunctions:
        spectra = pixel_spectra(kernel_size, self.power)
        chosen = _best_functions(spectra, kernel_size, self._count(kernel_size))
        covariance = spectra.power()
        frequencies, values = [], []
        for n, filters in chosen.items():
            components = _principal_components(filters, covariance, kernel_size, n)
            frequencies += [n] * components.shape[1]
            values += list(components.T.unflatten(1, (kernel_size, kernel_size)))
        functions = torch.stack(values)
        # One factor for all, such that a real function has norm 1 in the root mean square.
        scale = (self._count(kernel_size) / functions.abs().square().sum()).sqrt()
        return CircularFunctions(torch.tensor(frequencies), functions * scale)

    def _count(self, kernel_size: int) -> int:
        if self.functions is None:
            return CircularHarmonics().count(kernel_size)
        if not 1 <= self.functions <= kernel_size**2:
            raise ValueError(
                f"a {kernel_size}×{kernel_size} kernel has 1 to {kernel_size**2} functions, got "
                f"functions={self.functions}"
            )
        return self.functions


def _best_functions(spectra: PixelSpectra, kernel_size: int, count: int) -> dict[int, Tensor]:
    """Filters `(k², F_n)` by frequency: those of smallest λ, `count` real functions together.

    Frequencies that differ by 4 look alike on the lattice, and so may their filters; a candidate
    that adds nothing to the span is passed over.
    """
    candidates = []
    total = spectra.power()
    for n in range(2 * kernel_size):
        errors, filters = _steering_problem(spectra, total, kernel_size, n)
        candidates += [(float(error), n, b) for error, b in zip(errors, filters.T, strict=True)]
    candidates.sort(key=lambda candidate: candidate[0])
    chosen: dict[int, list[Tensor]] = {}
    span = torch.zeros(kernel_size**2, 0, dtype=torch.float64)
    for _, n, b in candidates:
        parts = torch.stack([b.real, b.imag], dim=1) if n else b.real[:, None]
        wider = torch.cat([span, parts / b.norm()], dim=1)
        if wider.shape[1] <= count and torch.linalg.svdvals(wider)[-1] > _INDEPENDENT:
            span = wider
            chosen.setdefault(n, []).append(b)
    return {n: torch.stack(filters, dim=1) for n, filters in sorted(chosen.items())}


def _steering_problem(
    spectra: PixelSpectra, total: Tensor, kernel_size: int, frequency: int
) -> tuple[Tensor, Tensor]:
    """λ `(F,)` ascending, and their filters `(k², F)`, among the exact ones at 90°."""
    lattice = lattice_harmonics(kernel_size, frequency)
    turning = _restricted(spectra.turning_power(frequency), lattice)
    power = _restricted(total, lattice)
    whiten = torch.linalg.inv(torch.linalg.cholesky(power))
    shares, coordinates = torch.linalg.eigh(whiten @ turning @ whiten.T)
    filters = lattice @ (whiten.T @ coordinates).to(lattice.dtype)
    return 1 - shares.flip(0), filters.flip(1)


def _principal_components(
    filters: Tensor, covariance: Tensor, kernel_size: int, frequency: int
) -> Tensor:
    """Orthogonal filters `(k², F)` of the same span, scaled by the root of their power."""
    lattice = lattice_harmonics(kernel_size, frequency)
    coordinates, _ = torch.linalg.qr((lattice.mH @ filters).real)
    within = coordinates.T @ _restricted(covariance, lattice) @ coordinates
    variances, axes = torch.linalg.eigh(within)
    parts = 2 if frequency else 1
    components: Tensor = (coordinates @ axes) * (parts * variances).sqrt()
    return lattice @ components.flip(1).to(lattice.dtype)


def _restricted(form: Tensor, lattice: Tensor) -> Tensor:
    return (lattice.mH @ form @ lattice).real
