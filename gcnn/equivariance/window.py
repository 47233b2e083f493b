"""Windows of infinite groups: where a feature map lives."""

from __future__ import annotations

from torch import Tensor

from gcnn.geometry import find
from gcnn.groups import Group


def home(group: Group, features: Tensor) -> Group:
    """The window that a feature map lives on.

    The group itself, unless convolutions on it leave out elements at its ends; then what remains
    after as many of them as it takes. Whether it fits is for the action to say.
    """
    window = group
    while features.ndim == group.dim + 3 and features.shape[2] != window.field.size:
        if window.target is window:
            return group
        window = window.target
    return window


def index_in(window: Group, matrix: Tensor) -> int:
    """Which element of a window a matrix is, -1 if none."""
    return int(find(matrix[None], window.matrices)[0])
