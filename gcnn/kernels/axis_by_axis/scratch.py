"""Memory for what lies between two products, used again for every tile."""

from __future__ import annotations

import math
from collections.abc import Hashable

from torch import Tensor


class Scratch:
    """Buffers by name: who takes one may write it until someone takes that name again.

    New memory for every tile would cost more than the products, in page faults.

    Args:
        like: a tensor of the dtype and device.
    """

    def __init__(self, like: Tensor) -> None:
        self.dtype = like.dtype
        self._like = like
        self._buffers: dict[Hashable, Tensor] = {}

    def take(self, name: Hashable, shape: tuple[int, ...]) -> Tensor:
        """The buffer of this name in this shape, with the values it had if that was its shape."""
        size = math.prod(shape)
        buffer = self._buffers.get(name)
        if buffer is None or len(buffer) < size:
            buffer = self._buffers[name] = self._like.new_empty(size)
        return buffer[:size].view(shape)
