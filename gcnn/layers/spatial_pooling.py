"""Pooling over space that keeps the grid centred: maximum, average, and anti-aliased."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from gcnn.groups import Group
from gcnn.layers.sampling_grid import positive_integer, require_centred
from gcnn.layers.spatial import SpatialLayer

_CONVOLUTIONS: dict[int, Callable[..., Tensor]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


class _SpatialPool(SpatialLayer):
    """What pooling layers share: windows over space, on every channel and element alike."""

    _pools: ClassVar[dict[int, Callable[..., Tensor]]]

    def __init__(
        self,
        kernel_size: int,
        stride: int | None = None,
        padding: int = 0,
        dim: int | None = None,
        *,
        group: Group | None = None,
    ) -> None:
        super().__init__(dim, group)
        self.kernel_size = positive_integer("kernel_size", kernel_size)
        self.stride = positive_integer("stride", kernel_size if stride is None else stride)
        self.padding = positive_integer("padding", padding, minimum=0)

    def _over_space(self, x: Tensor, dim: int) -> Tensor:
        require_centred(x.shape[2:], self.kernel_size, self.stride, self.padding)
        return self._pools[dim](x, self.kernel_size, self.stride, self.padding)

    def extra_repr(self) -> str:
        window = f"{self.kernel_size}, stride={self.stride}, padding={self.padding}"
        return window + self._repr_of_space()


class SpatialMaxPool(_SpatialPool):
    """The maximum of every window of space, on every channel and element of the group alike.

    >>> from gcnn.groups import P4
    >>> SpatialMaxPool(2, group=P4())(torch.zeros(1, 3, 4, 8, 8)).shape
    torch.Size([1, 3, 4, 4, 4])

    Shapes:
        `(batch, channels, *space)` or `(batch, channels, |H|, *space)` to the same with smaller
        space.

    Args:
        kernel_size: edge of the window in pixels.
        stride: step of the window; `kernel_size` unless given.
        padding: pixels on every side.
        dim: how many of the last axes are space; needed on volumes and feature maps, where no
            group says so.
        group: what moves, instead of `dim`.

    Raises:
        ValueError: on the forward pass, a size that leaves pixels over (such as an odd size at
            stride 2), because the output grid would be shifted and even 90° would be lost; a
            tensor that does not tell which axes are space.
    """

    _pools: ClassVar = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


class SpatialAvgPool(_SpatialPool):
    """The mean of every window of space; all else, and the arguments, as in `SpatialMaxPool`.

    >>> from gcnn.groups import P4
    >>> SpatialAvgPool(2, group=P4())(torch.zeros(1, 3, 4, 8, 8)).shape
    torch.Size([1, 3, 4, 4, 4])

    Padded zeros count.
    """

    _pools: ClassVar = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


class SpatialBlurPool(SpatialLayer):
    """Anti-aliased down-sampling: a binomial low-pass filter, then every `stride`-th pixel.

    Frequencies that the coarser grid cannot carry would come back as others, which do not turn
    with the image. Zhang, "Making convolutional networks shift-invariant again", ICML 2019; the
    filter here has an even number of taps, so that an even size keeps its centre.

    >>> from gcnn.groups import P4
    >>> SpatialBlurPool(2, group=P4())(torch.zeros(1, 3, 4, 8, 8)).shape
    torch.Size([1, 3, 4, 4, 4])

    Shapes:
        `(batch, channels, *space)` or `(batch, channels, |H|, *space)` to the same with space
        divided by `stride`; the size must be a multiple of it.

    Args:
        stride: the factor, even.
        dim, group: which axes are space, as in `SpatialMaxPool`.
    """

    def __init__(
        self, stride: int = 2, dim: int | None = None, *, group: Group | None = None
    ) -> None:
        super().__init__(dim, group)
        self.stride = positive_integer("stride", stride)
        if stride % 2:
            raise ValueError(f"stride must be even, for an even filter to be centred, got {stride}")
        self.padding = stride // 2

    def _over_space(self, x: Tensor, dim: int) -> Tensor:
        taps, channels = 2 * self.stride, x.shape[1]
        require_centred(x.shape[2:], taps, self.stride, self.padding)
        filters = _binomial(taps, dim).to(x)
        x = F.pad(x, (self.padding,) * (2 * dim), mode="replicate")
        filters = filters.expand(channels, 1, *filters.shape)
        return _CONVOLUTIONS[dim](x, filters, stride=self.stride, groups=channels)

    def extra_repr(self) -> str:
        return f"stride={self.stride}{self._repr_of_space()}"


def _binomial(taps: int, dim: int) -> Tensor:
    """The separable binomial filter `(taps,) * dim` of sum 1."""
    row = [math.comb(taps - 1, k) / 2 ** (taps - 1) for k in range(taps)]
    filters = along = torch.tensor(row, dtype=torch.float64)
    for _ in range(dim - 1):
        filters = filters[..., None] * along
    return filters
