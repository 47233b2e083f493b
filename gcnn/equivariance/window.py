"""Windows of infinite groups: where a feature map lives, and what an action brings into it."""

from __future__ import annotations

import torch
from torch import Tensor

from gcnn.geometry import find, ordinary_tensors
from gcnn.groups import Group


@ordinary_tensors()
def origins(group: Group, element: int) -> Tensor:
    """The index of h⁻¹h' for every element h', `(|H|,)`: where the action by h takes f(h') from.

    -1 where h⁻¹h' is outside a window. The action fills such elements with zeros, which say
    nothing about a network, so they are left out of every comparison.
    """
    products = group.product[element]
    inside = products >= 0
    origin = torch.full((group.order,), -1)
    origin[products[inside]] = torch.arange(group.order)[inside]
    return origin


def home(group: Group, features: Tensor) -> Group:
    """The window that a feature map lives on.

    The group itself, unless convolutions on it leave out elements at its ends; then what remains
    after as many of them as it takes. Whether it fits is for the action to say.
    """
    window = group
    while features.ndim == group.dim + 3 and features.shape[2] != window.order:
        if window.target is window:
            return group
        window = window.target
    return window


def index_in(window: Group, matrix: Tensor) -> int:
    """Which element of a window a matrix is, -1 if none."""
    return int(find(matrix[None], window.matrices)[0])
