"""The order of training samples, as a function of seed and epoch alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np
from torch.utils.data import Sampler

EpochIndex: TypeAlias = tuple[int, int]


class EpochOrder(Sampler[EpochIndex]):
    """Every sample once, in an order that depends only on seed and epoch.

    Yields pairs `(epoch, index)`: worker processes, which do not know the epoch, learn from them
    what to draw for the sample. A training that is resumed thus sees exactly what it would have
    seen.

    Args:
        length: number of samples.
        seed: of the order.
        epoch: tells the epoch that is about to begin.
    """

    def __init__(self, length: int, seed: int, epoch: Callable[[], int]) -> None:
        self.length = length
        self.seed = seed
        self.epoch = epoch

    def __len__(self) -> int:
        """The number of samples."""
        return self.length

    def __iter__(self) -> Iterator[EpochIndex]:
        """The pairs of one epoch."""
        epoch = self.epoch()
        order = np.random.default_rng([self.seed, epoch]).permutation(self.length)
        return ((epoch, int(index)) for index in order)
