"""What one step of an evaluation does on one side of a convolution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gcnn.kernels.axis_by_axis.operators import Operator
from gcnn.kernels.axis_by_axis.scratch import Scratch
from gcnn.kernels.axis_by_axis.tree import Tree


@dataclass(frozen=True)
class Side:
    """A part of the input, or of the output: some elements, at some places.

    Between two products, maps are `(channels · batch, *space)`: mixing the channels of the whole
    batch is one product of matrices then, and so is every step along an axis.

    Attributes:
        tree: of the axes along which features are expanded until channels are mixed.
        elements: which take part.
        places: ranges of all axes.
        size: of this part of space where channels are mixed.
        inward, outward: operators of all axes, from features to where channels are mixed, and back.
    """

    tree: Tree
    elements: tuple[int, ...]
    places: tuple[slice, ...]
    size: tuple[int, ...]
    inward: tuple[Operator, ...]
    outward: tuple[Operator, ...]

    def expand(self, features: Tensor, leaves_name: str, room: Scratch) -> Tensor:
        """All leaves, `(elements · leaves · channels, batch · places)`."""
        parts = [self._part(features, element) for element in self.elements]
        channels, batch = parts[0].shape[:2]
        if len(parts) == 1 and not self.tree.axes and self._ready(parts[0], room):
            return parts[0].view(channels, -1)
        count = len(parts) * len(self.tree.leaves)
        leaves = room.take(leaves_name, (count, channels * batch, *self.size))
        free = iter(leaves)
        for part in parts:
            if not self._ready(part, room):
                part = room.take("whole", tuple(part.shape)).copy_(part)
            self.tree.expand(part.flatten(0, 1), self.inward, free, room)
        return leaves.view(count * channels, batch * math.prod(self.size))

    def contract(self, matrix: Tensor, leaves: Tensor, features: Tensor, room: Scratch) -> None:
        """Mix leaves of the other side, contract, and add that to the features of this one."""
        chunks = matrix.chunk(len(self.elements))
        for element, rows in zip(self.elements, chunks, strict=True):
            target = self._part(features, element)
            ready = self._ready(target, room)
            if ready and not self.tree.axes:
                target.view(len(rows), -1).addmm_(rows, leaves)
                continue
            mixed = room.take("mixed", (len(rows), leaves.shape[1]))
            torch.mm(rows, leaves, out=mixed)
            maps = iter(mixed.view(len(self.tree.leaves), -1, *self.size))
            if ready:
                self.tree.contract(maps, self.outward, room, target.flatten(0, 1))
            else:
                part = self.tree.contract(maps, self.outward, room)
                target.add_(part.view(target.shape))

    def _part(self, features: Tensor, element: int) -> Tensor:
        """What takes part of an element, `(channels, batch, *space)`."""
        places: Any = (..., *self.places)
        return features[:, :, element][places].transpose(0, 1)

    def _ready(self, part: Tensor, room: Scratch) -> bool:
        """Whether the first product of a tree can read or write a part where it lies.

        That is so along the first axis of space, in a product for each channel, whose matrix has a
        stride; and if there is no axis, for a part without gaps.
        """
        axes = self.tree.axes
        return (
            (not axes or axes[0] == 0)
            and part.shape[1] == 1
            and part.dtype == room.dtype
            and (part[0, 0, 0] if axes else part[0, 0]).is_contiguous()
        )
