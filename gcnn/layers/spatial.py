"""Which axes of a tensor are space, and layers that need to know no more than that."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gcnn.groups import Group, require_group

# Axes of a tensor that can only be read in one way, and the dimension of space then: a batch of
# planar images, and a feature map of volumes.
_UNMISTAKABLE = {4: 2, 6: 3}


def require_features(layer: nn.Module, group: Group, x: Tensor) -> None:
    """Refuse an image, and a feature map that does not live on the group."""
    if group.is_image(x):
        raise ValueError(
            f"{type(layer).__name__} takes a feature map (batch, channels, {group.field.size}, "
            f"*{group.dim} of space), got an image of shape {tuple(x.shape)}"
        )


class SpatialLayer(nn.Module):
    """A function of `(batch, channels, *space)`, applied to images and feature maps.

    Which axes are space follows from the group, or from `dim`. Without either, four axes are a
    planar image and six a feature map of volumes; five could be a planar feature map or a volume,
    and are refused.

    Args:
        dim: how many of the last axes are space.
        group: what moves, instead of `dim`; a feature map then has to live on it.

    Raises:
        TypeError: group is none.
        ValueError: an impossible dimension, or another than the group's; on the forward pass, a
            tensor that is neither an image nor a feature map, or could be both.
    """

    def __init__(self, dim: int | None = None, group: Group | None = None) -> None:
        super().__init__()
        if group is not None and dim not in (None, require_group(group).dim):
            raise ValueError(f"{group} moves {group.dim}D space, got dim={dim}")
        if dim is not None and (isinstance(dim, bool) or dim not in (1, 2, 3)):
            raise ValueError(f"dim must be 1, 2 or 3, got {dim!r}")
        self.group = group
        self.dim = dim if group is None else group.dim

    def forward(self, x: Tensor) -> Tensor:
        dim = self._dimension(x)
        if x.ndim == dim + 2:
            return self._over_space(x, dim)
        return torch.unflatten(self._over_space(x.flatten(1, 2), dim), 1, x.shape[1:3])

    def _over_space(self, x: Tensor, dim: int) -> Tensor:
        """The layer on `(batch, channels, *space)`; keeps batch and channels."""
        raise NotImplementedError

    def _dimension(self, x: Tensor) -> int:
        if self.group is not None:
            self.group.is_image(x)  # refuses what is neither image nor feature map
        dim, shape = self.dim or _UNMISTAKABLE.get(x.ndim), tuple(x.shape)
        if dim is not None and x.ndim in (dim + 2, dim + 3):
            return dim
        if dim is None and x.ndim == 5:
            raise ValueError(
                f"shape {shape} could be a feature map (batch, channels, |H|, rows, columns) or a "
                f"volume (batch, channels, depth, rows, columns); give {type(self).__name__} the "
                "group, or dim=2 for the one and dim=3 for the other"
            )
        space = "space" if dim is None else f"{dim} of space"
        advice = "; give the group or dim for other than planar images" if dim is None else ""
        raise ValueError(
            f"expected (batch, channels, *{space}) or (batch, channels, |H|, *{space}), got shape "
            f"{shape}{advice}"
        )

    def _repr_of_space(self) -> str:
        if self.group is not None:
            return f", group={self.group}"
        return "" if self.dim is None else f", dim={self.dim}"
