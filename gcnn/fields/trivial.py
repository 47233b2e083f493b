"""Numbers that only change their place: what an image holds."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gcnn.fields.field import Field
from gcnn.geometry import ordinary_tensors


@dataclass(frozen=True)
class Trivial(Field):
    """One number that every element leaves as it is: `ρ(h) = 1`.

    >>> import torch
    >>> Trivial().action(torch.eye(2)).tolist()
    [[1.0]]
    """

    size = 1

    @property
    def invariant(self) -> Tensor:
        return torch.ones(1, dtype=torch.float64)

    @ordinary_tensors()
    def action(self, matrix: Tensor) -> Tensor:
        return torch.ones(1, 1, dtype=torch.float64)
