"""Nonlinearities that make no frequency the grid cannot turn."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor, nn

from gcnn.layers.sampling_grid import positive_integer
from gcnn.layers.spatial import over_space


class AntiAliased(nn.Module):
    """Up-sample by 2, apply an activation, low-pass, down-sample.

    A pointwise nonlinearity creates frequencies above those of its input. What exceeds the grid
    comes back at other frequencies, which do not turn with the image. On a grid twice as fine
    there is room for them until the low-pass filter removes them (Karras et al., "Alias-free
    generative adversarial networks", NeurIPS 2021).

    Shapes:
        any image or feature map, unchanged.

    Args:
        activation: a pointwise module, `torch.nn.ReLU()` say.
        taps: length of the filters at the coarse grid, on each side.
        cutoff
        dim: how many of the last axes are space.
    """

    def __init__(self, activation: nn.Module, taps: int = 6, cutoff: float = 1.0, beta: float = 6.0, dim: int = 2) -> None:
        super().__init__()
        self.activation = activation
        self.taps = positive_integer("taps", taps)
        self.cutoff, self.beta = cutoff, beta
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return over_space(x, self.dim, self._apply_between_grids)

    def _apply_between_grids(self, x: Tensor) -> Tensor:
        axes = range(x.ndim - self.dim, x.ndim)
        for axis in axes:
            x = _along(x, axis, interpolation_matrix(x.shape[axis], self.taps, self.cutoff, self.beta))
        x = self.activation(x)
        for axis in axes:
            matrix = interpolation_matrix(x.shape[axis] // 2, self.taps, self.cutoff, self.beta)
            x = _along(x, axis, matrix.T / 2)
        return x


def _along(x: Tensor, axis: int, matrix: Tensor) -> Tensor:
    return (x.movedim(axis, -1) @ matrix.T.to(x)).movedim(-1, axis)

@functools.lru_cache(maxsize=64)
def interpolation_matrix(size: int, taps: int, cutoff: float, beta: float) -> Tensor:
    """The matrix `(2 size, size)`"""
    fine = (torch.arange(2 * size, dtype=torch.float64) - 0.5) / 2
    index = fine.floor().long()[:, None] + torch.arange(-taps + 1, taps + 1)
    distance = fine[:, None] - index
    window = torch.special.i0(beta * (1 - (distance / taps) ** 2).clamp(min=0).sqrt()) / torch.special.i0(torch.tensor(beta, dtype=torch.float64))
    weight = cutoff * torch.sinc(cutoff * distance) * window
    weight = weight / weight.sum(dim=1, keepdim=True)
    matrix = torch.zeros(2 * size, size, dtype=torch.float64)
    index = torch.where(index < 0, -1 - index, index)
    index = torch.where(index >= size, 2 * size - 1 - index, index).clamp(0, size - 1)
    return matrix.scatter_add_(1, index, weight)
