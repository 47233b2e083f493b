"""How filters slide over a grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Window:
    """The settings of an ordinary convolution, one number for all axes.

    Attributes:
        dim: dimension of space.
        size: edge of the filters in pixels.
        stride, dilation, padding_mode: as in `torch.nn.Conv2d`.
        padding: in pixels.
    """

    dim: int
    size: int
    stride: int
    padding: int
    dilation: int
    padding_mode: str

    transposed: ClassVar[bool] = False
    """Whether it slides from the output to the input, as the adjoint of the convolution."""

    @property
    def extent(self) -> int:
        """Pixels from the first tap of a filter to the last."""
        return self.dilation * (self.size - 1) + 1

    def output_size(self, size: int) -> int:
        """Pixels of the output along an axis."""
        return (size + 2 * self.padding - self.extent) // self.stride + 1

    def input_size(self, size: int) -> int:
        """Pixels of the smallest input with such an output."""
        return (size - 1) * self.stride + self.extent - 2 * self.padding

    def padded(self, x: Tensor) -> tuple[Tensor, int]:
        """`(batch, channels, *space)`, padded unless with zeros, and the zeros that are left."""
        if self.padding_mode == "zeros" or not self.padding:
            return x, self.padding
        return F.pad(x, (self.padding,) * 2 * (x.ndim - 2), mode=self.padding_mode), 0
