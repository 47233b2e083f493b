"""Windows of infinite groups: where a feature map lives."""

from __future__ import annotations

from torch import Tensor

from gcnn.geometry import find
from gcnn.groups import Group
from gcnn.layers.windows import targets


def home(group: Group, features: Tensor) -> Group:
    """The window that a feature map lives on.

    The group itself, unless convolutions on it leave out elements at its ends; then what remains
    after as many of them as it takes. Whether it fits is for the action to say.
    """
    sizes = features.shape[2:3] if features.ndim == group.dim + 3 else ()
    return next((window for window in targets(group) if window.field.size in sizes), group)


def index_in(window: Group, matrix: Tensor) -> int:
    """Which element of a window a matrix is, -1 if none."""
    return int(find(matrix[None], window.matrices)[0])
