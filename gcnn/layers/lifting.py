"""Lifting convolution: from an image to a feature map on the group."""

from __future__ import annotations

from gcnn.kernels import lifting_kernel
from gcnn.layers.convolution import Convolution


class LiftingConv(Convolution):
    """Correlate an image with every moved copy of a filter.

    `out(h, x) = Σ_i Σ_y |det h|⁻¹ φ_i(h⁻¹(y - x)) f_i(y)`, with φ a weighted sum of the basis.

    >>> import torch
    >>> from gcnn.groups import P4
    >>> LiftingConv(P4(), 3, 8, kernel_size=3, padding="same")(torch.randn(2, 3, 32, 32)).shape
    torch.Size([2, 8, 4, 32, 32])

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

    _make_kernel = staticmethod(lifting_kernel)
    _lifts = True
