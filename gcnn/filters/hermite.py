"""Hermite polynomials times a Gaussian: filters that scale, and turn, analytically."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from gcnn.filters.basis import require_orthogonal, window_size
from gcnn.filters.separable import Factors, SeparableBasis
from gcnn.geometry import scales_of

_COMBINATIONS = ("total", "tensor")
_SAME = 1e-9
_EXACT = 1e-9


@dataclass(frozen=True)
class HermiteGaussian(SeparableBasis):
    """φ_ab(x, y; σ) = σ⁻² He_a(x/σ) He_b(y/σ) exp(-(x² + y²) / 2σ²), and likewise in 3D.

    He are the probabilists' polynomials, each divided by √(a!). An element of scale s has the
    same functions at s·σ, times `s⁻ᵈ`: one normalisation serves all scales. The set of functions
    is the same along every axis, so that swapping axes, or mirroring them, only permutes it.

    What a finite sum over pixels makes of the integral is corrected: the moments of every
    function up to `order`, `Σ x^j g_a(x)`, are those of the integral at every scale, to rounding
    error. Derivatives have no response to a constant image, and polynomials up to that order are
    filtered without any error of scale.

    Sosnovik, Szmaja and Smeulders, "Scale-equivariant steerable networks", ICLR 2020, use such
    functions in the plane, without the correction.

    >>> HermiteGaussian().degrees(dim=2, kernel_size=7)
    ((0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (2, 0))

    Args:
        order: the largest degree: of a polynomial in all coordinates together ("total"), or in
            each of them ("tensor").
        combine: "total", with 6 functions of degree up to 2 in 2D and 10 in 3D, or "tensor", with
            9 and 27. A full set of total degree is closed under rotations too.
        half_width: from the centre to the outermost pixel, in σ of scale 1. Less cuts the filters
            off, and costs accuracy quickly: 2 is too little.
        sigma: σ of scale 1 in pixels, if the size of the kernel is not to say it.
    """

    order: int = 2
    combine: str = "total"
    half_width: float = 3.0
    sigma: float | None = None

    def __post_init__(self) -> None:
        if self.order < 0:
            raise ValueError(f"order must be at least 0, got {self.order}")
        if self.combine not in _COMBINATIONS:
            raise ValueError(f"combine must be one of {_COMBINATIONS}, got {self.combine!r}")
        if not self.half_width > 0:
            raise ValueError(f"half_width must be positive, got {self.half_width}")
        if self.sigma is not None and not self.sigma > 0:
            raise ValueError(f"sigma must be positive, got {self.sigma}")

    def degrees(self, dim: int, kernel_size: int) -> tuple[tuple[int, ...], ...]:
        """The degrees in `(x, y[, z])` of every function, by total degree.

        A kernel of a single pixel has only the constant one.
        """
        order = 0 if kernel_size == 1 else self.order
        every = itertools.product(range(order + 1), repeat=dim)
        chosen = [d for d in every if self.combine == "tensor" or sum(d) <= order]
        return tuple(sorted(chosen, key=lambda d: (sum(d), max(d), d)))

    def move(self, matrices: Tensor, kernel_size: int) -> Tensor:
        scales, turns = _similarities(matrices)
        dim = matrices.shape[-1]
        functions = self._factors(scales, dim, kernel_size).product()
        steering = torch.stack([self._steering(turn, kernel_size) for turn in turns])
        moved = torch.bmm(steering, functions.flatten(2).transpose(0, 1))
        return torch.unflatten(moved.transpose(0, 1), -1, functions.shape[2:]).contiguous()

    def factorise(self, matrices: Tensor, kernel_size: int) -> Factors | None:
        scales, turns = _similarities(matrices)
        still = all(_is_identity(turn) for turn in turns)
        return self._factors(scales, matrices.shape[-1], kernel_size) if still else None

    def _factors(self, scales: Tensor, dim: int, kernel_size: int) -> Factors:
        degrees = self.degrees(dim, kernel_size)
        tables = self._tables(scales.tolist(), kernel_size)
        # Along the rows y points up; the axes of a tensor are (x, y[, z]) backwards.
        along = [tables.flip(-1) if axis == dim - 2 else tables for axis in range(dim)]
        # One factor for all, such that a function of scale 1 has norm 1 in the root mean square.
        still = self._tables([1.0], kernel_size)
        unscaled = Factors(torch.stack([still] * dim), tuple(d[::-1] for d in degrees))
        norm = unscaled.product().flatten(2).norm(dim=2).square().mean().sqrt()
        return Factors(torch.stack(along) / norm ** (1 / dim), unscaled.degrees)

    def _tables(self, scales: list[float], kernel_size: int) -> Tensor:
        """The functions of one coordinate, `(|H|, order + 1, window)`: each scale by itself.

        What a scale sees does not depend on the others, so that the same weights serve any list
        of scales; all have the window of the largest, and zeros outside their own.
        """
        if kernel_size == 1:
            return torch.ones(len(scales), 1, 1, dtype=torch.float64)
        if kernel_size <= self.order:
            raise ValueError(
                f"a kernel of {kernel_size} pixels cannot hold Hermite functions of order "
                f"{self.order}; use kernel_size {self.order + 1} or more"
            )
        sigma = self.sigma or (kernel_size - 1) / 2 / self.half_width
        windows = [window_size(scale, kernel_size) for scale in scales]
        tables = []
        for scale, window in zip(scales, windows, strict=True):
            outside = (max(windows) - window) // 2
            own = _corrected(self.order, sigma * scale, window)
            tables.append(F.pad(own, (outside, outside)))
        return torch.stack(tables)

    def _steering(self, turn: Tensor, kernel_size: int) -> Tensor:
        """D `(K, K)` with `φ_k(R⁻¹y) = Σ_l D_kl φ_l(y)`."""
        dim = turn.shape[-1]
        degrees = self.degrees(dim, kernel_size)
        if _is_identity(turn):
            return torch.eye(len(degrees), dtype=turn.dtype)
        generator = torch.Generator().manual_seed(0)
        points = torch.randn(4 * len(degrees), dim, generator=generator, dtype=turn.dtype)
        still, turned = (_polynomials(degrees, p) for p in (points, points @ turn))
        steering = torch.linalg.lstsq(still, turned).solution.T
        if (still @ steering.T - turned).abs().max() > 1e-6:
            raise ValueError(
                f"{self} cannot be turned by {turn.tolist()}: a tensor product of Hermite "
                'functions only serves swaps and mirrors of the axes; use combine="total"'
            )
        return torch.where(steering.abs() < 1e-13, 0, steering)


def _similarities(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Matrices as scales `(|H|,)` times orthogonal ones `(|H|, d, d)`."""
    scales = scales_of(matrices)
    turns = matrices / scales[:, None, None]
    served = "Hermite-Gaussian functions serve scalings, rotations and mirrors"
    require_orthogonal(turns, matrices, served, "shears or stretches")
    return scales, turns


def _is_identity(turn: Tensor) -> bool:
    return bool((turn - torch.eye(len(turn), dtype=turn.dtype)).abs().max() <= _SAME)


def _hermite(order: int, x: Tensor) -> Tensor:
    """He_0 … He_order at x, each divided by √(a!): `(order + 1, *x.shape)`."""
    values = [torch.ones_like(x), x]
    for n in range(1, order):
        values.append(x * values[-1] - n * values[-2])
    return torch.stack(
        [h / math.sqrt(math.factorial(a)) for a, h in enumerate(values[: order + 1])]
    )


def _polynomials(degrees: tuple[tuple[int, ...], ...], points: Tensor) -> Tensor:
    """The polynomials at points `(P, d)` in units of σ: `(P, K)`."""
    along = _hermite(max(map(max, degrees)), points)
    columns = [
        torch.stack([along[degree, :, axis] for axis, degree in enumerate(each)]).prod(dim=0)
        for each in degrees
    ]
    return torch.stack(columns, dim=1)


def _corrected(order: int, sigma: float, kernel_size: int) -> Tensor:
    """The 1D functions `(order + 1, kernel_size)`, with the moments of the integral."""
    x = (torch.arange(kernel_size, dtype=torch.float64) - (kernel_size - 1) / 2) / sigma
    # Without the smallest exponent common to all pixels, so that tiny σ do not underflow.
    root = torch.exp(-(x.square() - x.square().min()) / 4)
    powers = torch.stack([x**j for j in range(order + 1)])
    moments = _moments(order)
    # Polynomials that are orthogonal on these pixels span what the Hermite polynomials do, and
    # stay independent where σ is small; from the largest values to the smallest, so that those
    # are not lost.
    from_centre = x.abs().argsort(stable=True)
    orthogonal, triangle = torch.linalg.qr((powers * root).T[from_centre])
    correction = torch.linalg.solve_triangular(triangle.T, moments, upper=False)
    corrected: Tensor = correction.T @ (orthogonal[from_centre.argsort()].T * root)
    error = (powers @ corrected.T - moments) / powers.abs().amax(dim=1, keepdim=True).clamp(min=1)
    # Not "greater", so that what is not a number is refused too.
    if not error.abs().max() < _EXACT:
        raise ValueError(
            f"σ of {sigma:.3g} pixels is too small for Hermite functions of order {order} on "
            f"{kernel_size} pixels; use a larger kernel_size, a larger sigma, or scales that are "
            "closer together"
        )
    return corrected


def _moments(order: int) -> Tensor:
    """`∫ x^j He_a(x)/√(a!) exp(-x²/2)/√(2π) dx`, `(j, a)`: `j!/(j-a)! (j-a-1)!!` over √(a!)."""
    moments = torch.zeros(order + 1, order + 1, dtype=torch.float64)
    for j in range(order + 1):
        for a in range(j % 2, j + 1, 2):
            double_factorial = math.prod(range(j - a - 1, 0, -2))
            falling = math.factorial(j) / math.factorial(j - a)
            moments[j, a] = falling * double_factorial / math.sqrt(math.factorial(a))
    return moments
