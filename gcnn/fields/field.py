"""The interface of all fields."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor


class Field(ABC):
    """A representation ρ of the group: moving a feature map by h turns `f(x)` into `ρ(h) f(h⁻¹x)`.

    A field is the same for all channels and places of a feature map, and orthogonal:
    `ρ(h)⁻¹ = ρ(h)ᵀ`. On a window of an infinite group ρ(h) has a row of zeros for what comes from
    outside.

    A new field says its `size`, its `action`, what is `invariant`, and how to `evaluate` it, if it
    is no list of samples. It should compare by value, as a frozen dataclass does.
    """

    size: int
    """How many numbers there are: the length of axis 2."""

    @abstractmethod
    def action(self, matrix: Tensor) -> Tensor:
        """ρ(h), `(size, size)` float64.

        Args:
            matrix: `(d, d)`, the element h.
        """

    def move(self, features: Tensor, matrix: Tensor) -> Tensor:
        """`ρ(h) f` at every place; nothing changes its place.

        Args:
            features: `(batch, channels, size, *space)`.
            matrix: `(d, d)`, the element h.
        """
        if not (features.is_floating_point() or features.is_complex()):
            raise ValueError(
                f"{type(self).__name__} mixes numbers, which {features.dtype} cannot hold; convert "
                "the features to floating point"
            )
        mixed = features.movedim(2, -1) @ self.action(matrix).T.to(features)
        return torch.movedim(mixed, -1, 2)

    def inside(self, matrix: Tensor) -> Tensor:
        """`(size,)` bool: which numbers of a moved feature map come from inside a window."""
        return torch.ones(self.size, dtype=torch.bool)

    @property
    @abstractmethod
    def invariant(self) -> Tensor:
        """`(size,)` float64, what no element moves: a bias goes there, and norms centre there."""

    def constant(self, values: Tensor) -> Tensor:
        """The fields of constant functions, `(channels,)` to `(channels, size)`."""
        return values[:, None] * self.invariant.to(values)

    def evaluate(self, features: Tensor) -> Tensor:
        """The values that pooling over the group works on; the numbers themselves unless told.

        Args:
            features: `(batch, channels, size, *space)`, to `(batch, channels, S, *space)`.
        """
        return features
