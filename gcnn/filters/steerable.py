"""Bases whose functions turn by a phase: nothing is resampled."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from gcnn.filters.basis import Basis, require_orthogonal


@dataclass(frozen=True)
class CircularFunctions:
    """Complex functions on the kernel grid, each with one angular frequency.

    >>> from gcnn.filters import CircularHarmonics
    >>> CircularHarmonics().circular_functions(kernel_size=3).frequencies.tolist()
    [0, 0, 1, 2]

    Attributes:
        frequencies: `(F,)` integers n ≥ 0.
        values: `(F, k, k)` complex128; turning the plane by θ multiplies function f by
            `exp(-i n_f θ)`, and mirroring it in the x axis conjugates it.
    """

    frequencies: Tensor
    values: Tensor

    def normalised(self) -> CircularFunctions:
        """The same functions, such that their real functions have norm 1 on average."""
        parts = torch.where(self.frequencies > 0, 2.0, 1.0)
        norm = (self.values.abs().square().sum(dim=(1, 2)) / parts).sqrt()
        return CircularFunctions(self.frequencies, self.values / norm[:, None, None])


class SteerableBasis(Basis):
    """Functions g(r)·exp(inφ) of the plane; serves rotations and mirrors, at any angle.

    Each function with n > 0 gives two real ones, its real and its imaginary part; n = 0 gives
    one. A rotation by θ acts as `φ(R⁻¹y) = exp(-inθ) φ(y)`, a mirror as complex conjugation.

    >>> from gcnn.filters import OptimalSteerable
    >>> from gcnn.geometry import rotation
    >>> basis = OptimalSteerable().sample(torch.stack([rotation(0), rotation(30)]), kernel_size=5)
    >>> basis.shape  # 11 functions, still and turned by 30°
    torch.Size([11, 2, 5, 5])
    """

    @abstractmethod
    def circular_functions(self, kernel_size: int) -> CircularFunctions:
        """The complex functions, unmoved."""

    def move(self, matrices: Tensor, kernel_size: int) -> Tensor:
        name, dim = type(self).__name__, matrices.shape[-1]
        if dim != 2:
            raise ValueError(
                f"{name} serves groups of the plane, not of {dim}D space; filters.Pixels serves "
                "any dimension"
            )
        served = f"{name} serves rotations and mirrors"
        require_orthogonal(matrices, matrices, served, "changes lengths")
        functions = self.circular_functions(kernel_size)
        moved = torch.stack([_moved(functions, matrix) for matrix in matrices], dim=1)
        # Real and imaginary parts of one function stay neighbours: k = (f, part).
        parts = torch.stack([moved.real, moved.imag], dim=1)
        turning = functions.frequencies > 0
        return parts[torch.stack([torch.ones_like(turning), turning], dim=1)]


def _moved(functions: CircularFunctions, matrix: Tensor) -> Tensor:
    angle = torch.atan2(matrix[1, 0], matrix[0, 0])
    phase = torch.exp(-1j * angle * functions.frequencies.double())[:, None, None]
    turned = phase * functions.values
    is_mirror = bool(torch.linalg.det(matrix) < 0)
    return turned.conj().resolve_conj() if is_mirror else turned
