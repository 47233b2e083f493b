"""Group convolution: from a feature map on the group to another."""

from __future__ import annotations

import torch
from torch import Tensor

from gcnn.layers.convolution import Convolution
from gcnn.layers.expansion import group_filters, group_filters_at_once, relative_basis

# Up to here the table of `relative_basis` stays in a processor's cache, and one product with it
# is two to three times as fast as gathering the weights first; above, it is slower.
_LARGEST_TABLE = 100_000


class GroupConv(Convolution):
    """Correlate a feature map with every moved copy of a filter on the group.

    `out(h, x) = Σ_i Σ_h' Σ_y |det h|⁻¹ φ_i(h⁻¹h', h⁻¹(y - x)) f_i(h', y)`, with φ a weighted sum
    of the basis for every relative element `h⁻¹h'` (Cohen and Welling, "Group equivariant
    convolutional networks", ICML 2016, eq. 11).

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

    def _weight_shape(self) -> tuple[int, ...]:
        return len(self.group.relative_matrices), self._sampled.shape[0]

    def _interacting(self) -> int:
        return self.group.order

    def _tables(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        basis, relative = super()._tables(weight)
        relatives, functions = self._weight_shape()
        entries = relatives * functions * self.group.order**2 * basis[0, 0].numel()
        if entries <= _LARGEST_TABLE:
            basis = relative_basis(self._sampled, self.group.relative).to(basis)
        return basis, relative

    def _expand(self, weight: Tensor, basis: Tensor, relative: Tensor) -> Tensor:
        at_once = basis.ndim == self.group.dim + 4
        filters = (
            group_filters_at_once(weight, basis)
            if at_once
            else group_filters(weight, basis, relative)
        )
        return filters.flatten(2, 3).flatten(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        expected = (self.in_channels, self.group.order)
        if x.ndim != self.group.dim + 3 or x.shape[1:3] != expected:
            raise ValueError(
                f"GroupConv takes a feature map (batch, {self.in_channels}, {self.group.order}, "
                f"*{self.group.dim} of space), got shape {tuple(x.shape)}; images are lifted first"
            )
        y = self._convolve(x.flatten(1, 2))
        return torch.unflatten(y, 1, (self.out_channels, self.group.order))
