"""How well a basis can be moved at all, before any network is built of it."""

from __future__ import annotations

import torch
from torch import Tensor

from gcnn.filters import Basis, Power
from gcnn.filters.spectrum import pixel_spectra
from gcnn.geometry import rotation

_ANGLES = 32


def steering_errors(basis: Basis, kernel_size: int, power: Power | None = None) -> Tensor:
    """The squared equivariance errors λ of the span of a planar basis, over all angles.

    For a filter b, λ compares the filter moved by the basis with the spectrum of b truly turned,
    as a share of the power of its response: `mean over θ of ‖B(R⁻¹ω) - B_θ(ω)‖² / 2‖B‖²`, norms
    weighted by the power spectrum of the features. For a steerable function of one frequency
    this is the share of its power that does not turn. The eigenvalues of this quotient describe
    the whole span, whatever functions were chosen in it.

    >>> from gcnn.filters import OptimalSteerable, Pixels
    >>> steered, interpolated = OptimalSteerable(), Pixels()
    >>> bool(steering_errors(steered, 5)[-1] < steering_errors(interpolated, 5)[-1])
    True

    Args:
        basis: serves rotations of the plane.
        kernel_size: edge of the kernel in pixels.
        power: the power spectrum expected in features.

    Returns:
        `(K,)` float64, ascending: `[-1]` is the worst filter of the span.
    """
    spectra = pixel_spectra(kernel_size, power or Power())
    count = len(spectra.angles)
    steps = range(0, count, count // _ANGLES)
    turns = torch.stack([rotation(360 * step / count) for step in steps])
    moved = basis.sample(turns, kernel_size).flatten(2).to(spectra.values.dtype)
    still = torch.einsum("rap,kp->rak", spectra.values, moved[:, 0])
    weights = (spectra.weights / count)[:, None, None]
    norm = _gram(still, weights)
    error = torch.zeros_like(norm)
    for index, step in enumerate(steps):
        turned = torch.einsum("rap,kp->rak", spectra.values, moved[:, index])
        # Turning the plane by θ shifts the spectrum along the circles of ω.
        error += _gram(turned - still.roll(step, dims=1), weights) / (2 * len(turns))
    scale = norm.diagonal().rsqrt()
    norm, error = (m * scale[:, None] * scale for m in (norm, error))
    whiten = torch.linalg.inv(torch.linalg.cholesky(norm))
    errors: Tensor = torch.linalg.eigvalsh(whiten @ error @ whiten.T)
    return errors


def _gram(spectra: Tensor, weights: Tensor) -> Tensor:
    return torch.einsum("rak,ral->kl", spectra.conj(), spectra * weights).real
