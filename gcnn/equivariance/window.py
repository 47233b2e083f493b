"""Which elements of a feature map an action brings values to."""

from __future__ import annotations

import torch
from torch import Tensor

from gcnn.geometry import ordinary_tensors
from gcnn.groups import Group


@ordinary_tensors()
def sources(group: Group, element: int) -> Tensor:
    """The index of h⁻¹h' for every element h', `(|H|,)`: where the action by h takes f(h') from.

    -1 where h⁻¹h' is outside a window. The action fills such elements with zeros, which say
    nothing about a network, so they are left out of every comparison.
    """
    products = group.product[element]
    inside = products >= 0
    source = torch.full((group.order,), -1)
    source[products[inside]] = torch.arange(group.order)[inside]
    return source
