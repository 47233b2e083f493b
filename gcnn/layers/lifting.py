"""Lifting convolution: from an image to a feature map on the group."""

from __future__ import annotations

from torch import Tensor

from gcnn.layers.arrangement import Arrangement, Together
from gcnn.layers.convolution import Convolution
from gcnn.layers.expansion import lifting_filters
from gcnn.layers.separable import AxisByAxis


class LiftingConv(Convolution):
    """Correlate an image with every moved copy of a filter.

    `out(h, x) = Σ_i Σ_y |det h|⁻¹ φ_i(h⁻¹(y - x)) f_i(y)`, with φ a weighted sum of the basis.

    Shapes:
        `(batch, in_channels, *space)` to `(batch, out_channels, |H|, *space)`.

    Args:
        group: what moves.
        in_channels: channels of the image.
        out_channels: fields of the output, each with one channel for every element of the group.
        kernel_size: edge of the kernel in pixels.
        stride, padding, dilation, groups, bias, padding_mode: as in `torch.nn.Conv2d`, one number
            for all axes; padding also takes "same" and "valid".
        basis: another basis than the group's own.

    Attributes:
        weight: `(out_channels, in_channels / groups, K)`.
        bias: `(out_channels,)` or None.

    Raises:
        ValueError: settings, or on the forward pass a size, that cannot be equivariant.
    """

    def _arrange(self) -> Arrangement:
        return Together(self.group.order)

    def _seen(self) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
        return tuple(range(self.group.order)), ((0,),) * self.group.order

    def _weight_shape(self) -> tuple[int, ...]:
        return (self._sampled.shape[0],)

    def _along_axes(self, axes: AxisByAxis, x: Tensor) -> Tensor | None:
        # An image is a feature map of one element, which every element sees.
        features, weight = x.unsqueeze(2), self.weight.unsqueeze(2)
        plan = axes.plan(x, tuple(x.shape[2:]), weight)
        return None if plan is None else axes.correlate(features, weight, plan)

    def _expand(self, weight: Tensor, basis: Tensor, relative: Tensor) -> Tensor:
        return lifting_filters(weight, basis).flatten(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != self.group.dim + 2 or x.shape[1] != self.in_channels:
            raise ValueError(
                f"LiftingConv takes an image (batch, {self.in_channels}, *{self.group.dim} of "
                f"space), got shape {tuple(x.shape)}"
            )
        return self._convolve(x)
