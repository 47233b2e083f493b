"""Which matrix of a list is which, up to rounding error."""

from __future__ import annotations

import torch
from torch import Tensor

from gcnn.geometry.tensor_construction import ordinary_tensors

_SAME = 1e-6


@ordinary_tensors()
def find(wanted: Tensor, among: Tensor) -> Tensor:
    """Where each matrix stands in a list: `(n, d, d)` in `(m, d, d)` gives `(n,)`, -1 if absent."""
    distance = torch.cdist(wanted.flatten(1), among.flatten(1), p=torch.inf)
    smallest, index = distance.min(dim=1)
    return torch.where(smallest < _SAME, index, -1)
