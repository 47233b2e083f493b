"""Nonlinearities that make no frequency the grid cannot turn."""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn

from gcnn.geometry import along_axis, ordinary_tensors
from gcnn.groups import Group
from gcnn.layers.memory_layout import in_layout_of
from gcnn.layers.spatial import SpatialLayer

# A Kaiser window of 12 taps on the coarse grid, cut at 0.9 of its Nyquist frequency.
_TAPS = 6
_CUTOFF = 0.9
_KAISER_BETA = 6.0


class AntiAliased(SpatialLayer):
    """Up-sample by 2, apply an activation, low-pass, down-sample.

    A pointwise nonlinearity creates frequencies above those of its input. What exceeds the grid
    comes back at other frequencies, which do not move with the image. On a grid twice as fine
    there is room for them until the low-pass filter removes them (Karras et al., "Alias-free
    generative adversarial networks", NeurIPS 2021). Images are continued by reflection. The
    features between are 2^dim times as large, in memory and in time.

    Both steps are matrix products along each axis, which on a CPU are faster than depthwise
    convolutions with the same taps, up to sizes of a few hundred pixels.

    >>> from gcnn.groups import P4
    >>> AntiAliased(nn.ReLU(), group=P4())(torch.zeros(1, 3, 4, 8, 8)).shape
    torch.Size([1, 3, 4, 8, 8])

    Shapes:
        `(batch, channels, *space)` or `(batch, channels, |H|, *space)`, unchanged.

    Args:
        activation: a pointwise module, for example `torch.nn.ReLU()`.
        dim, group: which axes are space, as in `SpatialMaxPool`.

    Raises:
        TypeError: activation is not a module.
    """

    def __init__(
        self, activation: nn.Module, dim: int | None = None, *, group: Group | None = None
    ) -> None:
        super().__init__(dim, group)
        if not isinstance(activation, nn.Module):
            raise TypeError(f"activation must be a module such as nn.ReLU(), got {activation!r}")
        self.activation = activation

    def _over_space(self, x: Tensor, dim: int) -> Tensor:
        axes = range(2, x.ndim)
        finer = [interpolation_matrix(x.shape[axis]).to(x) for axis in axes]
        fine = x
        for axis, matrix in zip(axes, finer, strict=True):
            fine = along_axis(fine, axis, matrix)
        coarse = self.activation(fine)
        for axis, matrix in zip(axes, finer, strict=True):
            coarse = along_axis(coarse, axis, matrix.T / 2)
        return in_layout_of(x, coarse, dim)

    def extra_repr(self) -> str:
        return self._repr_of_space().removeprefix(", ")


def interpolation_matrix(size: int) -> Tensor:
    """The matrix `(2 · size, size)` from a grid to one twice as fine about the same centre.

    Half its transpose is the low-pass filter and down-sampling that leads back.
    """
    # A compiler traces through the cache, and warns; it folds the constant all the same.
    return _build(size) if torch.compiler.is_compiling() else _remembered(size)


def _build(size: int) -> Tensor:
    fine = (torch.arange(2 * size, dtype=torch.float64) - 0.5) / 2
    index = fine.floor().long()[:, None] + torch.arange(1 - _TAPS, 1 + _TAPS)
    distance = fine[:, None] - index
    beta = torch.tensor(_KAISER_BETA, dtype=torch.float64)
    window = torch.special.i0(beta * (1 - (distance / _TAPS) ** 2).clamp(min=0).sqrt())
    weight = torch.sinc(_CUTOFF * distance) * window
    weight = weight / weight.sum(dim=1, keepdim=True)
    index = index.remainder(2 * size)
    index = torch.where(index < size, index, 2 * size - 1 - index)
    return torch.zeros(2 * size, size, dtype=torch.float64).scatter_add_(1, index, weight)


_remembered = functools.lru_cache(maxsize=64)(ordinary_tensors()(_build))
