"""One set of building blocks for networks with and without a group."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from gcnn.filters import Basis
from gcnn.groups import Group
from gcnn.layers import (
    AntiAliased,
    GroupBatchNorm,
    GroupConv,
    GroupDropout,
    GroupInstanceNorm,
    GroupPool,
    LiftingConv,
    SpatialAvgPool,
    SpatialBlurPool,
    SpatialMaxPool,
    SpatialUpsample,
)

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
BATCH_NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
INSTANCE_NORMS = {1: nn.InstanceNorm1d, 2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}

NORMS = ("batch", "instance", "none")
DOWNSAMPLINGS = ("max", "average", "blur")


@dataclass(frozen=True)
class BuildingBlocks:
    """Makes the layers of a network, equivariant ones if there is a group.

    Args:
        group: what moves, or None for ordinary layers.
        dim: dimension of space.
        kernel_size: of the convolutions.
        norm: "batch", "instance" or "none".
        activation: makes a pointwise nonlinearity.
        anti_aliased: wrap the nonlinearity in `layers.AntiAliased`.
        downsampling: "max", "average" or "blur" (anti-aliased), all by 2.
        dropout: the probability to drop a field after a convolution.
        basis: of the filters, unless the group's own.
    """

    group: Group | None
    dim: int
    kernel_size: int
    norm: str
    activation: Callable[[], nn.Module]
    anti_aliased: bool
    downsampling: str
    dropout: float
    basis: Basis | None

    def __post_init__(self) -> None:
        for name, allowed in (("norm", NORMS), ("downsampling", DOWNSAMPLINGS)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {allowed}, got {getattr(self, name)!r}")
        if self.kernel_size % 2 == 0:
            raise ValueError(
                f"kernel_size must be odd to keep the size of the maps, got {self.kernel_size}"
            )

    def convolution(self, in_channels: int, out_channels: int) -> nn.Module:
        """A convolution between feature maps that keeps their size."""
        if self.group is None:
            conv = CONVOLUTIONS[self.dim](
                in_channels, out_channels, self.kernel_size, padding="same"
            )
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            return conv
        return GroupConv(
            self.group,
            in_channels,
            out_channels,
            self.kernel_size,
            padding="same",
            basis=self.basis,
        )

    def lifting(self, in_channels: int, out_channels: int) -> nn.Module:
        """The convolution from the image to the first feature map."""
        if self.group is None:
            return self.convolution(in_channels, out_channels)
        return LiftingConv(
            self.group,
            in_channels,
            out_channels,
            self.kernel_size,
            padding="same",
            basis=self.basis,
        )

    def normalization(self, channels: int) -> list[nn.Module]:
        """The normalisation, if there is any."""
        if self.norm == "none":
            return []
        if self.group is None:
            norms = BATCH_NORMS if self.norm == "batch" else INSTANCE_NORMS
            return [norms[self.dim](channels, affine=True)]
        group_norm = GroupBatchNorm if self.norm == "batch" else GroupInstanceNorm
        return [group_norm(self.group, channels, affine=True)]

    def nonlinearity(self) -> nn.Module:
        """The activation, anti-aliased if asked."""
        activation = self.activation()
        return AntiAliased(activation, dim=self.dim) if self.anti_aliased else activation

    def unit(self, convolution: nn.Module, channels: int) -> nn.Sequential:
        """Convolution → norm → nonlinearity → dropout."""
        dropout = [GroupDropout(self.dropout)] if self.dropout else []
        return nn.Sequential(
            convolution, *self.normalization(channels), self.nonlinearity(), *dropout
        )

    def downsample(self) -> nn.Module:
        """Halve every axis of space."""
        if self.downsampling == "blur":
            return SpatialBlurPool(2, dim=self.dim)
        pool = SpatialMaxPool if self.downsampling == "max" else SpatialAvgPool
        return pool(2, dim=self.dim)

    def upsample(self) -> nn.Module:
        """Double every axis of space."""
        return SpatialUpsample(2, dim=self.dim)

    def projection(self, mode: str) -> nn.Module:
        """From the last feature map to an ordinary image."""
        return nn.Identity() if self.group is None else GroupPool(self.group, mode)
