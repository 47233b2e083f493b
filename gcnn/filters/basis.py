"""What every filter basis offers: its functions, moved by the elements of a group."""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gcnn.filters.power import Power
from gcnn.geometry import ordinary_tensors

_SAME = 1e-9


class Basis(ABC):
    """A set of functions on the kernel grid that a group can move.

    A subclass is a frozen dataclass (its fields are its settings, so that equal bases compare and
    hash as equal) that implements `move`.

    >>> from gcnn.filters import Pixels
    >>> from gcnn.geometry import rotation
    >>> Pixels().sample(torch.stack([rotation(0), rotation(90)]), kernel_size=3).shape
    torch.Size([9, 2, 3, 3])
    """

    power: Power = Power()
    """The power spectrum that is expected in features, for the initial weights."""

    @abstractmethod
    def move(self, matrices: Tensor, kernel_size: int) -> Tensor:
        """The functions moved by each matrix, `|det h|⁻¹ φ_k(h⁻¹ y)`, on the kernel grid.

        Args:
            matrices: `(|H|, d, d)` float64, acting on `(x, y[, z])` in pixels.
            kernel_size: edge of the kernel, in pixels.

        Returns:
            `(K, |H|, *(window,) * d)` float64. The window is `kernel_size` pixels wide, and wider
            by the same number on all sides if a matrix enlarges (`window_size`).

        Raises:
            ValueError: the basis cannot serve these matrices, or this kernel size.
        """

    def sample(self, matrices: Tensor, kernel_size: int) -> Tensor:
        """`move`, remembered: layers of a network share the result and must not change it.

        The functions of a basis with parameters of its own (an `nn.Module` too) are made anew each
        time, with gradients.
        """
        if isinstance(kernel_size, bool) or not isinstance(kernel_size, int) or kernel_size < 1:
            raise ValueError(f"kernel_size must be a positive integer, got {kernel_size!r}")
        if isinstance(self, nn.Module):
            return self.move(matrices, kernel_size)
        moved: Tensor = remembered(type(self).move, self, matrices, kernel_size)
        return moved


def window_size(scale: float, kernel_size: int) -> int:
    """Edge of the window that a filter of `kernel_size` pixels fills when it is scaled.

    Filters that shrink keep their window, so that all scales up to 1 share one.

    >>> window_size(1.5, 7), window_size(0.5, 7)
    (11, 7)
    """
    grown = math.ceil((scale - 1) * (kernel_size - 1) / 2 - _SAME)
    return kernel_size + 2 * max(0, grown)


def remembered(make: Callable[..., Any], basis: Basis, matrices: Tensor, kernel_size: int) -> Any:
    """What a method of a basis makes of matrices and a kernel size, once for equal arguments."""
    entries = tuple(matrices.flatten().tolist())
    return _made(make, basis, matrices.shape, entries, kernel_size)


@functools.lru_cache(maxsize=256)
def _made(
    make: Callable[..., Any],
    basis: Basis,
    shape: torch.Size,
    entries: tuple[float, ...],
    kernel_size: int,
) -> Any:
    with torch.no_grad(), ordinary_tensors():
        matrices = torch.tensor(entries, dtype=torch.float64).view(shape)
        return make(basis, matrices, kernel_size)


def require_orthogonal(turns: Tensor, matrices: Tensor, served: str, fault: str) -> None:
    """Refuse the matrices of which the `turns` `(|H|, d, d)` change lengths; names the worst."""
    excess = turns @ turns.mT - torch.eye(turns.shape[-1], dtype=turns.dtype)
    worst = int(excess.abs().amax(dim=(1, 2)).argmax())
    if excess[worst].abs().max() > _SAME:
        raise ValueError(
            f"{served}; element {worst} is {matrices[worst].tolist()}, which {fault}; "
            "filters.Pixels can serve it"
        )
