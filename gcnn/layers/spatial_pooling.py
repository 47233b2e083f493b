"""Pooling over space that keeps the grid centred: maximum, average, and anti-aliased."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gcnn.layers.sampling_grid import positive_integer, require_centred
from gcnn.layers.spatial import over_space

_MAX_POOL: dict[int, Callable[..., Tensor]] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_AVG_POOL: dict[int, Callable[..., Tensor]] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
_CONVOLUTIONS: dict[int, Callable[..., Tensor]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


class _SpatialPool(nn.Module):
    """What pooling layers share: windows over space, on every channel and element alike."""

    def __init__(
        self, kernel_size: int, stride: int | None = None, padding: int = 0, dim: int = 2
    ) -> None:
        super().__init__()
        self.kernel_size = positive_integer("kernel_size", kernel_size)
        self.stride = positive_integer("stride", kernel_size if stride is None else stride)
        self.padding = positive_integer("padding", padding, minimum=0)
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        require_centred(x.shape[-self.dim :], self.kernel_size, self.stride, self.padding)
        return over_space(x, self.dim, self._pool)

    def _pool(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def extra_repr(self) -> str:
        return f"{self.kernel_size}, stride={self.stride}, padding={self.padding}, dim={self.dim}"


class SpatialMaxPool(_SpatialPool):
    """The maximum of every window of space, on every channel and element of the group alike.

    >>> import torch
    >>> SpatialMaxPool(2, dim=2)(torch.randn(2, 8, 4, 32, 32)).shape
    torch.Size([2, 8, 4, 16, 16])

    Shapes:
        `(batch, channels, *space)` or `(batch, channels, |H|, *space)` to the same with smaller
        space.

    Args:
        kernel_size: edge of the window in pixels.
        stride: step of the window; `kernel_size` unless given.
        padding: pixels on every side.
        dim: how many of the last axes are space.

    Raises:
        ValueError: on the forward pass, a size that leaves pixels over (an odd size at stride 2,
            say), because the output grid would be shifted and even 90° would be lost.
    """

    def _pool(self, x: Tensor) -> Tensor:
        return _MAX_POOL[self.dim](x, self.kernel_size, self.stride, self.padding)


class SpatialAvgPool(_SpatialPool):
    """The mean of every window of space, on every channel and element of the group alike.

    >>> import torch
    >>> SpatialAvgPool(2, dim=3)(torch.randn(2, 1, 32, 32, 32)).shape
    torch.Size([2, 1, 16, 16, 16])

    Shapes:
        `(batch, channels, *space)` or `(batch, channels, |H|, *space)` to the same with smaller
        space.

    Args:
        kernel_size: edge of the window in pixels.
        stride: step of the window; `kernel_size` unless given.
        padding: pixels on every side, of zeros that count.
        dim: how many of the last axes are space.

    Raises:
        ValueError: on the forward pass, a size that leaves pixels over (an odd size at stride 2,
            say), because the output grid would be shifted and even 90° would be lost.
    """

    def _pool(self, x: Tensor) -> Tensor:
        return _AVG_POOL[self.dim](x, self.kernel_size, self.stride, self.padding)


class SpatialBlurPool(nn.Module):
    """Anti-aliased down-sampling: a binomial low-pass filter, then every `stride`-th pixel.

    Frequencies that the coarser grid cannot carry would come back as others, which do not turn
    with the image. Zhang, "Making convolutional networks shift-invariant again", ICML 2019; the
    filter here has an even number of taps, so that an even size keeps its centre.

    >>> import torch
    >>> SpatialBlurPool(2, dim=2)(torch.randn(2, 8, 4, 32, 32)).shape
    torch.Size([2, 8, 4, 16, 16])

    Shapes:
        `(batch, channels, *space)` or `(batch, channels, |H|, *space)` to the same with space
        divided by `stride`; the size must be a multiple of it.

    Args:
        stride: the factor, even.
        dim: how many of the last axes are space.
    """

    def __init__(self, stride: int = 2, dim: int = 2) -> None:
        super().__init__()
        self.stride = positive_integer("stride", stride)
        if stride % 2:
            raise ValueError(
                f"stride must be even, so that an even filter is centred, got {stride}"
            )
        self.dim = dim
        self.padding = stride // 2

    def forward(self, x: Tensor) -> Tensor:
        taps = 2 * self.stride
        require_centred(x.shape[-self.dim :], taps, self.stride, self.padding)
        return over_space(x, self.dim, self._blur)

    def _blur(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        filters = _binomial(2 * self.stride, self.dim).to(x)
        x = F.pad(x, (self.padding,) * (2 * self.dim), mode="replicate")
        filters = filters.expand(channels, 1, *filters.shape)
        return _CONVOLUTIONS[self.dim](x, filters, stride=self.stride, groups=channels)

    def extra_repr(self) -> str:
        return f"stride={self.stride}, dim={self.dim}"


def _binomial(taps: int, dim: int) -> Tensor:
    """The separable binomial filter `(taps,) * dim` of sum 1."""
    row = torch.ones(1, dtype=torch.float64)
    for _ in range(taps - 1):
        row = (F.pad(row, (0, 1)) + F.pad(row, (1, 0))) / 2
    filters = row
    for _ in range(dim - 1):
        filters = filters[..., None] * row
    return filters
