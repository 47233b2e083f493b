"""How feature maps on a group become the channels of an ordinary convolution, and back.

Where all elements interact, the channels are (field, element). Where each sees its neighbours
only, most blocks of that convolution would be zero: the channels are (element, field) there, one
group of channels for each element.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from gcnn.groups import Group


class Arrangement(ABC):
    """Feature maps as channels."""

    blocks: int
    """How many groups of channels the ordinary convolution has."""

    @abstractmethod
    def enter(self, x: Tensor) -> Tensor:
        """The input as `(batch, channels, *space)`."""

    @abstractmethod
    def leave(self, y: Tensor) -> Tensor:
        """The output `(batch, channels, *space)` as a feature map."""

    def bias(self, bias: Tensor) -> Tensor | None:
        """One number a field as one number a channel, or None if it must be added behind."""
        return None


@dataclass(frozen=True)
class Together(Arrangement):
    """Channels are (field, element), or those of an image.

    Args:
        order: elements of the output.
    """

    order: int
    blocks = 1

    def enter(self, x: Tensor) -> Tensor:
        return x

    def leave(self, y: Tensor) -> Tensor:
        return torch.unflatten(y, 1, (-1, self.order))

    def bias(self, bias: Tensor) -> Tensor:
        return bias.repeat_interleave(self.order)


@dataclass(frozen=True)
class TogetherOnGroup(Together):
    """The same, from a feature map."""

    def enter(self, x: Tensor) -> Tensor:
        return x.flatten(1, 2)


@dataclass(frozen=True)
class Neighbours(Arrangement):
    """Channels are (element, neighbour, field) before, and (element, field) behind.

    Args:
        sources: for every element of the output, the elements it sees; -1 where there is none.
    """

    sources: tuple[tuple[int, ...], ...]

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


@dataclass(frozen=True)
class NeighboursTransposed(Neighbours):
    """The adjoint: channels are (element, field) before, (element, neighbour, field) behind.

    Args:
        order: elements of the output.
    """

    order: int

    def enter(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2).flatten(1, 2)

    def leave(self, y: Tensor) -> Tensor:
        neighbours = len(self.sources[0])
        parts = torch.unflatten(y, 1, (self.blocks, neighbours, -1))
        elements: list[list[Tensor]] = [[] for _ in range(self.order)]
        for h, row in enumerate(self.sources):
            for m, source in enumerate(row):
                if source >= 0:
                    elements[source].append(parts[:, h, m])
        zero = parts.new_zeros(parts[:, 0, 0].shape)
        return torch.stack([sum(e[1:], e[0]) if e else zero for e in elements], dim=2)


def neighbours_of(group: Group) -> tuple[tuple[int, ...], ...] | None:
    """What every computed element of a group sees; None where each sees all."""
    if group.interacting is None:
        return None
    return tuple(map(tuple, group.sources[group.outputs].tolist()))
