"""Group convolution: from a feature map on the group to another."""

from __future__ import annotations

from torch import Tensor

from gcnn.layers.arrangement import Arrangement, Neighbours, TogetherOnGroup, neighbours_of
from gcnn.layers.convolution import Convolution
from gcnn.layers.expansion import (
    group_filters,
    group_filters_at_once,
    neighbour_filters,
    relative_basis,
)

# Up to here the table of `relative_basis` stays in a processor's cache, and one product with it
# is two to three times as fast as gathering the weights first; above, it is slower.
_LARGEST_TABLE = 100_000


class GroupConv(Convolution):
    """Correlate a feature map with every moved copy of a filter on the group.

    `out(h, x) = Σ_i Σ_h' Σ_y |det h|⁻¹ φ_i(h⁻¹h', h⁻¹(y - x)) f_i(h', y)`, with φ a weighted sum
    of the basis for every relative element `h⁻¹h'` (Cohen and Welling, "Group equivariant
    convolutional networks", ICML 2016, eq. 11).

    On a window of a group whose elements only see their neighbours, h' are those alone; the
    output lives on `group.target`, which is the group itself unless the window is restricted to
    elements with all their neighbours.

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

    def _arrange(self) -> Arrangement:
        sources = neighbours_of(self.group)
        if sources is None:
            return TogetherOnGroup(self.group.order)
        if self.groups > 1:
            raise ValueError(
                f"groups={self.groups} is not possible on {self.group}, whose elements already "
                "form groups of channels; use groups=1"
            )
        return Neighbours(sources)

    def _seen(self) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
        outputs = self.group.outputs
        return tuple(outputs.tolist()), tuple(map(tuple, self.group.sources[outputs].tolist()))

    def _weight_shape(self) -> tuple[int, ...]:
        return len(self.group.relative_matrices), self._sampled.shape[0]

    def _interacting(self) -> int:
        everything = self.group.interacting is None
        return self.group.order if everything else len(self.group.relative_matrices)

    def _tables(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        basis, relative = super()._tables(weight)
        if self.group.interacting is not None:
            outputs = self.group.outputs.to(weight.device)
            return basis[:, outputs], self.group.sources.to(weight.device)[outputs] >= 0
        relatives, functions = self._weight_shape()
        entries = relatives * functions * self.group.order**2 * basis[0, 0].numel()
        if entries <= _LARGEST_TABLE:
            basis = relative_basis(self._sampled, self.group.relative).to(basis)
        return basis, relative

    def _expand(self, weight: Tensor, basis: Tensor, relative: Tensor) -> Tensor:
        if self.group.interacting is not None:
            return neighbour_filters(weight, basis, relative).flatten(2, 3).flatten(0, 1)
        at_once = basis.ndim == self.group.dim + 4
        filters = (
            group_filters_at_once(weight, basis)
            if at_once
            else group_filters(weight, basis, relative)
        )
        return filters.flatten(2, 3).flatten(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        self._require_features(x, self.group.order)
        return self._convolve(x)

    def _require_features(self, x: Tensor, order: int) -> None:
        dim = self.group.dim
        if x.ndim != dim + 3 or x.shape[1:3] != (self.in_channels, order):
            raise ValueError(
                f"{type(self).__name__} takes a feature map (batch, {self.in_channels}, "
                f"{order}, *{dim} of space), got shape {tuple(x.shape)}; images are "
                "lifted first"
            )
