"""Normalisation of fields: one mean and one variance for all elements of the group."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from gcnn.fields import Regular
from gcnn.groups import Group, require_group
from gcnn.kernels.own_gradient import may_bring_its_gradient
from gcnn.layers.contiguous_norm import may_normalise, normalise
from gcnn.layers.field_norm import normalise_fields, of_channels
from gcnn.layers.invariant_norm import moments, standardise
from gcnn.layers.memory_layout import in_layout_of, is_channels_last


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
        _require_features(type(self).__name__, self.group, x)
        if not isinstance(self.group.field, Regular):
            return self._by_invariant(x)
        if not is_channels_last(x, self.group.dim):
            stored = not self.training and self.running_mean is not None
            if stored or not may_normalise(x) or not may_bring_its_gradient(x):
                return super().forward(x)
            return self._remembered(*normalise(x, self.weight, self.bias, self.eps))
        if not self.training and self.running_mean is not None and self.running_var is not None:
            plain = self._by(self.running_mean, self.running_var, x.flatten(1, 2))
            return torch.unflatten(plain, 1, x.shape[1:3])
        if may_bring_its_gradient(x):
            return torch.unflatten(self._by_its_own(x.flatten(1, 2)), 1, x.shape[1:3])
        # Places as the batch, elements as the space: the same statistics, and no copy.
        rows = x.movedim((1, 2), (-2, -1))
        normalised = super().forward(rows.flatten(0, -3)).view(rows.shape)
        return normalised.movedim((-2, -1), (1, 2))

    def _by_invariant(self, x: Tensor) -> Tensor:
        field, shape = self.group.field, (1, -1, *(1,) * (x.ndim - 2))
        if self.training or self.running_mean is None or self.running_var is None:
            mean, variance = moments(x, field, (0, *range(3, x.ndim)))
            if self.training:
                count = x.numel() // self.num_features
                if count < 2:
                    raise ValueError(f"one number a channel has no variance, got {tuple(x.shape)}")
                self._remember(mean.flatten(), variance.flatten() * (count / (count - 1)))
        else:
            mean, variance = (r.view(shape) for r in (self.running_mean, self.running_var))
        return standardise(x, field, (mean, variance), self.weight, self.bias, self.eps)

    def _by(self, mean: Tensor, variance: Tensor, plain: Tensor) -> Tensor:
        order = self.group.field.size
        # Apart from the parameters, whose gradient would ask for one of the statistics.
        mean, variance = of_channels(order, mean, variance)
        if not self.affine:
            return F.batch_norm(plain, mean, variance, training=False, eps=self.eps)
        scale, shift = of_channels(order, self.weight, self.bias)
        return F.batch_norm(plain, mean, variance, scale, shift, training=False, eps=self.eps)

    def _by_its_own(self, plain: Tensor) -> Tensor:
        order = self.group.field.size
        return self._remembered(*normalise_fields(plain, self.weight, self.bias, order, self.eps))

    def _remembered(self, y: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        if self.training:
            count = y.numel() // self.num_features
            self._remember(mean, variance * (count / (count - 1)))
        return y

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics, if there are any, towards those of a batch."""
        share = self.momentum
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            share = 1 / float(self.num_batches_tracked) if share is None else share
        for running, of_batch in ((self.running_mean, mean), (self.running_var, variance)):
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

    Shapes:
        `(batch, channels, |H|, *space)` to the same.

    Args:
        group: what moves.
        channels: how many fields.
        eps, momentum, affine, track_running_stats: as in `torch.nn.InstanceNorm2d`.
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
            _require_features(type(self).__name__, self.group, x)
            statistics = moments(x, field, tuple(range(3, x.ndim)))
            return standardise(x, field, statistics, self.weight, self.bias, self.eps)
        return in_layout_of(x, super().forward(x), self.group.dim)

    def _check_input_dim(self, input: Tensor) -> None:
        _require_features(type(self).__name__, self.group, input)

    def _get_no_batch_dim(self) -> int:
        return self.group.dim + 2


def _require_features(layer: str, group: Group, x: Tensor) -> None:
    if group.is_image(x):
        raise ValueError(
            f"{layer} takes a feature map (batch, channels, {group.field.size}, *{group.dim} of "
            f"space), got shape {tuple(x.shape)}"
        )
