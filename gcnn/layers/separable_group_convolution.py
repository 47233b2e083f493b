"""Separable group convolution: first space, then the group and the channels."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from gcnn.filters import Basis
from gcnn.groups import Group
from gcnn.kernels import spatial_kernel
from gcnn.layers.convolution import Convolution
from gcnn.layers.group_convolution import GroupConv
from gcnn.layers.sampling_grid import positive_integer


class SpatialConv(Convolution):
    """Correlate each element of each field with the field's own filter, moved by that element.

    `out(i, h, x) = Σ_y |det h|⁻¹ φ_i(h⁻¹(y - x)) f_i(h, y)`: nothing is mixed but pixels.
    """

    _make_kernel = staticmethod(spatial_kernel)

    def __init__(self, group: Group, channels: int, kernel_size: int, **options: Any) -> None:
        positive_integer("in_channels", channels)
        super().__init__(group, channels, channels, kernel_size, groups=channels, **options)

    def reset_parameters(self) -> None:
        """Draw weights that keep the mean square: no ReLU follows that would halve it."""
        super().reset_parameters()
        with torch.no_grad():
            self.weight.mul_(math.sqrt(0.5))


class SeparableGroupConv(nn.Module):
    """A group convolution in two steps: over space, then over the group and the channels.

    `out(h, x) = Σ_i Σ_h' w_i(h⁻¹h') Σ_y |det h'|⁻¹ φ_i(h'⁻¹(y - x)) f_i(h', y)`: a `GroupConv`
    whose filters are products of one function of space for each input field and one number for
    each relative element (Lengyel and van Gemert, "Exploiting learned symmetries in group
    equivariant convolutions", ICIP 2021). As equivariant as `GroupConv`, for about
    `1 / (out_channels · |H|) + 1 / kernel_size^d` of its multiplications.

    >>> import torch
    >>> from gcnn.groups import P4
    >>> conv = SeparableGroupConv(P4(), 8, 16, kernel_size=3, padding="same")
    >>> conv(torch.randn(2, 8, 4, 32, 32)).shape
    torch.Size([2, 16, 4, 32, 32])
    >>> conv.spatial.weight.numel(), sum(weight.numel() for weight in conv.pointwise.parameters())
    (72, 528)

    Shapes:
        `(batch, in_channels, |H|, *space)` to `(batch, out_channels, |H|, *space)`.

    Args:
        group: what moves.
        in_channels: fields of the input.
        out_channels: fields of the output, each with one channel for every element of the group.
        kernel_size: edge of the kernel in pixels.
        stride, padding, dilation, bias, padding_mode: as in `torch.nn.Conv2d`, one number for all
            axes; padding also takes "same" and "valid".
        basis: another basis in space than the group's own.

    Attributes:
        spatial: the first step, with a weight `(in_channels, 1, K)`.
        pointwise: the second, a `GroupConv` of kernel size 1 with the bias.

    Raises:
        ValueError: settings, or on the forward pass a size, that cannot be equivariant; a group
            whose field is not `fields.Regular`.
    """

    def __init__(
        self,
        group: Group,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int | str = 0,
        dilation: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        basis: Basis | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.spatial = SpatialConv(
            group,
            in_channels,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            bias=False,
            padding_mode=padding_mode,
            basis=basis,
            device=device,
            dtype=dtype,
        )
        self.pointwise = GroupConv(
            group, in_channels, out_channels, 1, bias=bias, device=device, dtype=dtype
        )

    def forward(self, x: Tensor) -> Tensor:
        """From a feature map to a feature map; see the class for shapes."""
        y: Tensor = self.pointwise(self.spatial(x))
        return y
