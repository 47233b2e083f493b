"""Group convolution: from a feature map on the group to another."""

from __future__ import annotations

from gcnn.kernels import group_kernel
from gcnn.layers.convolution import Convolution


class GroupConv(Convolution):
    """Correlate a feature map with every moved copy of a filter on the group.

    `out(h, x) = Σ_i Σ_h' Σ_y |det h|⁻¹ φ_i(h⁻¹h', h⁻¹(y - x)) f_i(h', y)`, with φ a weighted sum
    of the basis for every relative element `h⁻¹h'` (Cohen and Welling, "Group equivariant
    convolutional networks", ICML 2016, eq. 11).

    On a window of a group whose elements only see their neighbours, h' are those alone; the
    output lives on `group.target`, which is the group itself unless the window is restricted to
    elements with all their neighbours.

    >>> import torch
    >>> from gcnn.groups import P4
    >>> conv = GroupConv(P4(), 8, 16, kernel_size=3, padding="same")
    >>> conv(torch.randn(2, 8, 4, 32, 32)).shape
    torch.Size([2, 16, 4, 32, 32])

    Shapes:
        `(batch, in_channels, |H|, *space)` to `(batch, out_channels, |H|, *space)`.

    Args:
        group: what moves.
        in_channels: fields of the input.
        out_channels: fields of the output, each with one channel for every element of the group.
        kernel_size: edge of the kernel in pixels.
        stride, padding, dilation, groups, bias, padding_mode: as in `torch.nn.Conv2d`, one number
            for all axes; padding also takes "same" and "valid".
        basis: another basis than the group's own.

    Attributes:
        weight: `(out_channels, in_channels / groups, relative elements, K)`.
        bias: `(out_channels,)` or None.

    Raises:
        ValueError: settings, or on the forward pass a size, that cannot be equivariant.
    """

    _make_kernel = staticmethod(group_kernel)
