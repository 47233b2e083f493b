"""Transposed group convolution: the exact adjoint of a group convolution, for decoders."""

from __future__ import annotations

from gcnn.kernels import adjoint_kernel
from gcnn.layers.convolution import Convolution
from gcnn.layers.sliding import Adjoint


class GroupConvTranspose(Convolution):
    """The adjoint of `GroupConv(group, out_channels, in_channels, ...)` with the same weight.

    `⟨GroupConv(x), y⟩ = ⟨x, GroupConvTranspose(y)⟩` without biases, sums over all fields, elements
    and pixels. As `GroupConv` commutes with the group, so does its adjoint. With a stride it
    spreads features onto a finer grid, of `(n - 1) · stride - 2 · padding + kernel_size` pixels;
    an even `kernel_size` of at least 2 strides, with `padding = kernel_size // 2 - 1` and stride
    2, doubles the size about the same centre.

    On a window that is restricted to elements with all their neighbours, the input lives on
    `group.target` and the output on `group`.

    >>> import torch
    >>> from gcnn.groups import P4
    >>> conv = GroupConvTranspose(P4(), 16, 8, kernel_size=4, stride=2, padding=1)
    >>> conv(torch.randn(2, 16, 4, 16, 16)).shape
    torch.Size([2, 8, 4, 32, 32])

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

    _make_kernel = staticmethod(adjoint_kernel)
    _slide = Adjoint
