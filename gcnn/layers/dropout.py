"""Dropout of whole fields."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GroupDropout(nn.Module):
    """Zero whole fields at random, all elements and all places at once, and scale up the rest.

    Dropping single elements of a field would tell orientations apart. Works on images too, where
    it drops channels. In eval mode it does nothing.

    >>> import torch
    >>> features = GroupDropout(p=0.5)(torch.ones(1, 1, 4, 2, 2))
    >>> features.unique().tolist() in ([0.0], [2.0])
    True

    Shapes:
        `(batch, channels, ...)` to the same.

    Args:
        p: the probability of a field to be dropped.

    Raises:
        ValueError: p is not in [0, 1].
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"p must be a probability in [0, 1], got {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        if self.p == 1:
            return x * 0
        kept = torch.empty(x.shape[:2], dtype=x.dtype, device=x.device).bernoulli_(1 - self.p)
        return x * (kept / (1 - self.p)).view(*x.shape[:2], *(1,) * (x.ndim - 2))

    def extra_repr(self) -> str:
        return f"p={self.p}"
