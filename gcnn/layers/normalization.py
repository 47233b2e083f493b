"""Normalisation of fields: one mean and one variance for all elements of the group."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from gcnn.fields import Regular
from gcnn.groups import Group, require_group
from gcnn.layers.field_norm import may_normalise, normalise, of_channels
from gcnn.layers.invariant_norm import about_invariant
from gcnn.layers.memory_layout import in_layout_of, is_channels_last
from gcnn.layers.spatial import require_features


class GroupBatchNorm(_BatchNorm):
    """Batch normalisation over batch, group and space; `torch.nn.BatchNorm2d` for fields.

    >>> import torch
    >>> from gcnn.groups import P4
    >>> norm = GroupBatchNorm(P4(), 8)
    >>> norm(torch.randn(2, 8, 4, 32, 32)).shape, norm.running_mean.shape
    (torch.Size([2, 8, 4, 32, 32]), torch.Size([8]))

    Shapes:
        `(batch, channels, |H|, *space)` to the same.

    Args:
        group: what moves.
        channels: how many fields.
        eps, momentum, affine, track_running_stats: as in `torch.nn.BatchNorm2d`.
    """

    def __init__(
        self,
        group: Group,
        channels: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(channels, eps, momentum, affine, track_running_stats, device, dtype)
        self.group = require_group(group)

    def forward(self, x: Tensor) -> Tensor:
        require_features(self, self.group, x)
        field, parameters = self.group.field, (self.weight, self.bias, self.eps)
        last, stored = is_channels_last(x, self.group.dim), self._stored()
        if not isinstance(field, Regular):
            axes = (0, *range(3, x.ndim))
            y, mean, variance = about_invariant(x, field, axes, *parameters, stored)
        elif stored is None and may_normalise(x, last):
            y, mean, variance = normalise(x, *parameters, last)
        else:
            return self._as_channels(x, *stored) if stored and last else self._by_torch(x, last)
        self._remember(mean, variance, x)
        return y

    def _by_torch(self, x: Tensor, last: bool) -> Tensor:
        if not last:
            return super().forward(x)
        # Places as the batch, elements as the space: the same statistics, and no copy.
        rows = x.movedim((1, 2), (-2, -1))
        return super().forward(rows.flatten(0, -3)).view(rows.shape).movedim((-2, -1), (1, 2))

    def _as_channels(self, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        order = self.group.field.size
        # Apart from the parameters, whose gradient would ask for one of the statistics.
        mean, variance = of_channels(order, mean, variance)
        scale, shift = of_channels(order, self.weight, self.bias) if self.affine else (None, None)
        y = F.batch_norm(x.flatten(1, 2), mean, variance, scale, shift, eps=self.eps)
        return torch.unflatten(y, 1, x.shape[1:3])

    def _stored(self) -> tuple[Tensor, Tensor] | None:
        """The running statistics, where they take the place of those of the batch."""
        if self.training or self.running_mean is None or self.running_var is None:
            return None
        return self.running_mean, self.running_var

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, x: Tensor) -> None:
        """In training, move the running statistics, if there are any, towards those of x."""
        if not self.training:
            return
        count = x.numel() // self.num_features
        if count < 2:
            raise ValueError(f"one number a channel has no variance, got {tuple(x.shape)}")
        share = self.momentum
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            share = 1 / float(self.num_batches_tracked) if share is None else share
        unbiased = variance * (count / (count - 1))
        for running, of_batch in ((self.running_mean, mean), (self.running_var, unbiased)):
            if running is not None:
                running.lerp_(of_batch.to(running.dtype), share or 0.0)

    def _check_input_dim(self, input: Tensor) -> None:
        pass  # forward has done it, before it may have moved the axes.


class GroupInstanceNorm(_InstanceNorm):
    """Instance normalisation over group and space; `torch.nn.InstanceNorm2d` for fields.

    >>> import torch
    >>> from gcnn.groups import P4
    >>> normalised = GroupInstanceNorm(P4(), 8)(torch.randn(2, 8, 4, 32, 32))
    >>> bool(normalised.mean(dim=(2, 3, 4)).abs().max() < 1e-5)
    True

    Shapes and arguments as of `GroupBatchNorm`, with the defaults of `torch.nn.InstanceNorm2d`.
    """

    def __init__(
        self,
        group: Group,
        channels: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(channels, eps, momentum, affine, track_running_stats, device, dtype)
        self.group = require_group(group)

    def forward(self, x: Tensor) -> Tensor:
        field = self.group.field
        if not isinstance(field, Regular):
            require_features(self, self.group, x)
            axes = tuple(range(3, x.ndim))
            return about_invariant(x, field, axes, self.weight, self.bias, self.eps)[0]
        return in_layout_of(x, super().forward(x), self.group.dim)

    def _check_input_dim(self, input: Tensor) -> None:
        require_features(self, self.group, input)

    def _get_no_batch_dim(self) -> int:
        return self.group.dim + 2
