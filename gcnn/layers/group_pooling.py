"""Pooling over the group: from a feature map back to an image."""

from __future__ import annotations

from torch import Tensor, nn

from gcnn.groups import Group, require_group
from gcnn.layers.field_maximum import field_maximum
from gcnn.layers.memory_layout import in_layout_of

_MODES = ("max", "mean")


class GroupPool(nn.Module):
    """The maximum or the mean over the elements of the group, at every place.

    Moving the input only permutes the elements, so the result is an ordinary image that moves
    with the input.

    >>> import torch
    >>> from gcnn.groups import P4
    >>> GroupPool(P4(), "max")(torch.randn(2, 8, 4, 32, 32)).shape
    torch.Size([2, 8, 32, 32])

    Shapes:
        `(batch, channels, |H|, *space)` to `(batch, channels, *space)`.

    Args:
        group: what moves.
        mode: "max" or "mean".

    Raises:
        TypeError: group is none.
        ValueError: unknown mode, or on the forward pass a tensor that is no feature map.
    """

    def __init__(self, group: Group, mode: str = "max") -> None:
        super().__init__()
        if mode not in _MODES:
            raise ValueError(f"mode must be one of {_MODES}, got {mode!r}")
        self.group = require_group(group)
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        if self.group.is_image(x):
            raise ValueError(
                f"GroupPool takes a feature map (batch, channels, {self.group.field.size}, "
                f"*{self.group.dim} of space), got an image of shape {tuple(x.shape)}"
            )
        x = self.group.field.evaluate(x)
        if self.mode == "max":
            return field_maximum(x, self.group.dim)
        return in_layout_of(x, x.mean(dim=2), self.group.dim)

    def extra_repr(self) -> str:
        return f"{self.group}, {self.mode!r}"
