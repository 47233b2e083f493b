"""The order of training samples, as a function of seed and epoch alone."""

from collections.abc import Callable, Iterator

import numpy as np
from torch.utils.data import Sampler


class EpochOrder(Sampler[tuple[int, int]]):
    """Pairs `(epoch, index)` of every sample, in an order that depends on seed and epoch alone.

    Worker processes, which do not know the epoch, learn from them what to draw for the sample.
    """

    def __init__(self, length: int, seed: int, epoch: Callable[[], int]) -> None:
        self.length, self.seed, self.epoch = length, seed, epoch

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[tuple[int, int]]:
        epoch = self.epoch()
        order = np.random.default_rng([self.seed, epoch]).permutation(self.length)
        return ((epoch, int(index)) for index in order)
