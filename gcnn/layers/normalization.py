"""Normalisation of fields: one mean and one variance for all elements of the group."""

from __future__ import annotations

from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from gcnn.groups import Group


class GroupBatchNorm(_BatchNorm):
    """Batch normalisation over batch, group and space; `torch.nn.BatchNorm2d` for fields.

    Shapes:
        `(batch, channels, |H|, *space)` to the same.

    Args:
        group: what moves.
        channels: how many fields.
        eps, momentum, affine, track_running_stats: as in `torch.nn.BatchNorm2d`.
    """

    def __init__(self, group: Group, channels: int, *args: object, **kwargs: object) -> None:
        super().__init__(channels, *args, **kwargs)  # type: ignore[arg-type]
        self.group = group

    def _check_input_dim(self, input: Tensor) -> None:
        _require_features(type(self).__name__, self.group, input)


class GroupInstanceNorm(_InstanceNorm):
    """Instance normalisation over group and space; `torch.nn.InstanceNorm2d` for fields.

    Shapes:
        `(batch, channels, |H|, *space)` to the same.

    Args:
        group: what moves.
        channels: how many fields.
        eps, momentum, affine, track_running_stats: as in `torch.nn.InstanceNorm2d`.
    """

    def __init__(self, group: Group, channels: int, *args: object, **kwargs: object) -> None:
        super().__init__(channels, *args, **kwargs)  # type: ignore[arg-type]
        self.group = group

    def _check_input_dim(self, input: Tensor) -> None:
        _require_features(type(self).__name__, self.group, input)

    def _get_no_batch_dim(self) -> int:
        return self.group.dim + 2


def _require_features(layer: str, group: Group, x: Tensor) -> None:
    if group.is_image(x):
        raise ValueError(
            f"{layer} takes a feature map (batch, channels, {group.order}, *{group.dim} of "
            f"space), got shape {tuple(x.shape)}"
        )
