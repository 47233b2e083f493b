"""Pooling over the group: from a feature map back to an image."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from gcnn.groups import Group, require_group
from gcnn.layers.field_maximum import field_maximum
from gcnn.layers.memory_layout import in_layout_of
from gcnn.layers.selection import Selection, select
from gcnn.layers.spatial import require_features

_MODES = ("max", "mean", "select")


class GroupPool(nn.Module):
    """The maximum, the mean or a selection over the elements of the group.

    Moving the input only permutes the elements, so the result is an ordinary image that moves
    with the input. On a window, a maximum and a mean change with what enters and leaves at its
    ends; a selection takes the elements that recognise what they see, see `Selection`, and works
    best on logits, after the head.

    While it trains, "select" is the mean: trained through the selection, a network leaves all
    but a few elements untrained, and those of a longer window are worse.

    >>> import torch
    >>> from gcnn.groups import P4
    >>> GroupPool(P4(), "max")(torch.randn(2, 8, 4, 32, 32)).shape
    torch.Size([2, 8, 32, 32])

    >>> from gcnn.groups import ScaleTranslation
    >>> pool = GroupPool(ScaleTranslation([1.0, 0.8, 0.64]), "select").eval()
    >>> logits = torch.stack([torch.full((1, 1, 8, 8), v) for v in (-1.0, 9.0, 1.0)], dim=2)
    >>> pool(logits)[0, 0, 0, 0], pool.selection(logits).round()
    (tensor(9.), tensor([[0., 1., 0.]]))

    Shapes:
        `(batch, channels, |H|, *space)` to `(batch, channels, *space)`.

    Args:
        group: what moves.
        mode: "max" or "mean", at every place, or "select".
        options: of the `Selection`, for mode "select".

    Attributes:
        selection: gives the weights of the elements, in mode "select"; otherwise None.

    Raises:
        TypeError: group is none, or options that the mode does not have.
        ValueError: unknown mode, or on the forward pass a tensor that is no feature map.
    """

    def __init__(self, group: Group, mode: str = "max", **options: Any) -> None:
        super().__init__()
        if mode not in _MODES:
            raise ValueError(f"mode must be one of {_MODES}, got {mode!r}")
        if options and mode != "select":
            raise TypeError(f"mode {mode!r} has no options, got {', '.join(options)}")
        self.group = require_group(group)
        self.mode = mode
        self.selection = Selection(group, **options) if mode == "select" else None

    def forward(self, x: Tensor) -> Tensor:
        require_features(self, self.group, x)
        x = self.group.field.evaluate(x)
        if self.mode == "max":
            return field_maximum(x, self.group.dim)
        if self.selection is None or self.training:
            return in_layout_of(x, x.mean(dim=2), self.group.dim)
        return in_layout_of(x, select(x, self.selection(x)), self.group.dim)

    def extra_repr(self) -> str:
        return f"{self.group}, {self.mode!r}"
