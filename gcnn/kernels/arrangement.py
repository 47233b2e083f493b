"""How feature maps become the channels of an ordinary convolution, and back.

Where all numbers of a field interact, the channels are (field, number). Where each element of a
window sees its neighbours only, most blocks of that convolution would be zero: the channels are
(element, field) there, one group of channels for each element.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import torch
from torch import Tensor


class Arrangement(ABC):
    """Feature maps `(batch, channels, size, *space)` as channels.

    Attributes:
        blocks: how many groups of channels the ordinary convolution has.
        divides: whether a group of fields is a group of channels, so that a layer may have several.
    """

    blocks: int
    divides: bool

    @abstractmethod
    def enter(self, x: Tensor) -> Tensor:
        """The input as `(batch, channels, *space)`."""

    @abstractmethod
    def leave(self, y: Tensor) -> Tensor:
        """The output `(batch, channels, *space)` as a feature map."""

    def bias(self, constant: Tensor) -> Tensor | None:
        """Fields `(out, size)` as one number a channel; None if they must be added later."""
        return None

    @property
    @abstractmethod
    def adjoint(self) -> Arrangement:
        """The arrangement of the transposed convolution."""


@dataclass(frozen=True)
class Together(Arrangement):
    """Channels are (field, number).

    Args:
        input_size: numbers in a field of the input.
        output_size: of the output.
        blocks: groups of channels in a group of fields.
    """

    input_size: int
    output_size: int
    blocks: int = 1
    divides = True

    def enter(self, x: Tensor) -> Tensor:
        return x.flatten(1, 2)

    def leave(self, y: Tensor) -> Tensor:
        return torch.unflatten(y, 1, (-1, self.output_size))

    def bias(self, constant: Tensor) -> Tensor:
        return constant.flatten()

    @property
    def adjoint(self) -> Together:
        return replace(self, input_size=self.output_size, output_size=self.input_size)


@dataclass(frozen=True)
class Neighbours(Arrangement):
    """Channels are (element, neighbour, field) before the convolution, (element, field) after it.

    Args:
        sources: for every element of the output, the elements it sees; -1 where there is none.
        order: elements of the input.
    """

    sources: tuple[tuple[int, ...], ...]
    order: int
    divides = False

    @property
    def blocks(self) -> int:  # type: ignore[override]
        return len(self.sources)

    def enter(self, x: Tensor) -> Tensor:
        elements = x.unbind(2)
        # The filters of a missing neighbour are zero, so any element may stand in.
        seen = [elements[max(source, 0)] for row in self.sources for source in row]
        return torch.stack(seen, dim=1).flatten(1, 2)

    def leave(self, y: Tensor) -> Tensor:
        return torch.unflatten(y, 1, (self.blocks, -1)).transpose(1, 2).contiguous()

    @property
    def adjoint(self) -> NeighboursTransposed:
        return NeighboursTransposed(self.sources, self.order)


class NeighboursTransposed(Neighbours):
    """The adjoint: channels are (element, field) before, (element, neighbour, field) after."""

    def enter(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2).flatten(1, 2)

    def leave(self, y: Tensor) -> Tensor:
        parts = torch.unflatten(y, 1, (self.blocks, len(self.sources[0]), -1))
        elements: list[list[Tensor]] = [[] for _ in range(self.order)]
        for h, row in enumerate(self.sources):
            for m, source in enumerate(row):
                if source >= 0:
                    elements[source].append(parts[:, h, m])
        zero = parts.new_zeros(parts[:, 0, 0].shape)
        return torch.stack([sum(e[1:], e[0]) if e else zero for e in elements], dim=2)
