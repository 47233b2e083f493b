"""Transposed group convolution: the exact adjoint of a group convolution, for decoders."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from gcnn.layers.arrangement import Arrangement, Neighbours, NeighboursTransposed
from gcnn.layers.group_convolution import GroupConv
from gcnn.layers.initialization import expected_gain
from gcnn.layers.separable import AxisByAxis

_TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


class GroupConvTranspose(GroupConv):
    """The adjoint of `GroupConv(group, out_channels, in_channels, ...)` with the same weight.

    `⟨GroupConv(x), y⟩ = ⟨x, GroupConvTranspose(y)⟩` without biases, sums over all fields, elements
    and pixels. As `GroupConv` commutes with the group, so does its adjoint. With a stride it
    spreads features onto a finer grid, of `(n - 1) · stride - 2 · padding + kernel_size` pixels;
    an even `kernel_size` of at least 2 strides, with `padding = kernel_size // 2 - 1` and stride
    2, doubles the size about the same centre.

    On a window that is restricted to elements with all their neighbours, the input lives on
    `group.target` and the output on `group`.

    Shapes:
        `(batch, in_channels, |H|, *space)` to `(batch, out_channels, |H|, *finer space)`.

    Args:
        group: what moves.
        in_channels: fields of the input.
        out_channels: fields of the output.
        kernel_size: edge of the kernel in pixels.
        stride, padding, bias, groups, dilation: as in `torch.nn.ConvTranspose2d`, one number for
            all axes; padding also takes "same" and "valid".
        basis: another basis than the group's own.

    Attributes:
        weight: `(in_channels, out_channels / groups, relative elements, K)`.
        bias: `(out_channels,)` or None.

    Raises:
        ValueError: settings, or on the forward pass a tensor, that do not fit.
    """

    def _weight_channels(self) -> tuple[int, int]:
        return self.in_channels, self.out_channels // self.groups

    def _arrange(self) -> Arrangement:
        if self.padding_mode != "zeros":
            raise ValueError(
                f'GroupConvTranspose only knows padding_mode="zeros", got {self.padding_mode!r}'
            )
        arrangement = super()._arrange()
        if isinstance(arrangement, Neighbours):
            return NeighboursTransposed(arrangement.sources, self.group.order)
        return arrangement

    def _fan_in(self) -> float:
        gain = self._interacting() * expected_gain(self._sampled)
        return self.in_channels / self.groups * gain / float(self.stride**self.group.dim)

    def _along_axes(self, axes: AxisByAxis, x: Tensor) -> Tensor | None:
        size = tuple(self._output_size(n) for n in x.shape[-self.group.dim :])
        plan = axes.plan(x, size, self.weight)
        return None if plan is None else axes.transpose(x, self.weight, plan)

    def _output_size(self, size: int) -> int:
        extent = self.dilation * (self.kernel_size - 1) + 1
        return (size - 1) * self.stride + extent - 2 * self.padding

    def _require_grid(self, size: Sequence[int]) -> None:
        if any(self._output_size(n) < 1 for n in size):
            raise ValueError(
                f"input of size {tuple(size)} is too small: padding {self.padding} leaves nothing "
                f"of windows of {self.kernel_size} pixels at stride {self.stride}"
            )

    def _plain(self, x: Tensor, bias: Tensor | None) -> Tensor:
        return _TRANSPOSED[self.group.dim](
            x,
            self.filters(),
            bias,
            stride=self.stride,
            padding=self.padding,
            groups=self.groups * self.arrangement.blocks,
            dilation=self.dilation,
        )

    def forward(self, x: Tensor) -> Tensor:
        self._require_features(x, len(self.group.outputs))
        return self._convolve(x)
