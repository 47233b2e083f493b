"""One set of building blocks for networks with and without a group."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

from torch import nn

from gcnn.filters import Basis
from gcnn.groups import Group
from gcnn.layers import (
    AntiAliased,
    GroupBatchNorm,
    GroupConv,
    GroupConvTranspose,
    GroupDropout,
    GroupInstanceNorm,
    LiftingConv,
    SpatialAvgPool,
    SpatialBlurPool,
    SpatialMaxPool,
    SpatialUpsample,
)
from gcnn.models.residual import ResidualUnit

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
BATCH_NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
INSTANCE_NORMS = {1: nn.InstanceNorm1d, 2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
NORMS = {
    "batch": (GroupBatchNorm, BATCH_NORMS),
    "instance": (GroupInstanceNorm, INSTANCE_NORMS),
    "none": None,
}
BLOCKS = ("double", "residual")
POOLS = {"max": SpatialMaxPool, "average": SpatialAvgPool, "blur": SpatialBlurPool}
UPSAMPLINGS = ("linear", "transposed")


@dataclass(frozen=True)
class BuildingBlocks:
    """Makes the layers of a network, equivariant ones if there is a group.

    The settings are those of `models.UNet`. On a group, convolutions that halve or double the
    size have twice its kernel size. Filters as narrow as the others let frequencies pass that the
    coarse grid cannot carry, and on the way up they give the fine pixels that lie between coarse
    ones another sum of weights than their neighbours; neither turns nor scales with the image.
    """

    group: Group | None
    dim: int
    kernel_size: int
    norm: str
    activation: Callable[[], nn.Module]
    anti_aliased: bool
    block: str
    downsampling: str
    upsampling: str
    dropout: float
    basis: Basis | None

    def __post_init__(self) -> None:
        allowed: dict[str, Collection[str]] = {
            "norm": NORMS,
            "block": BLOCKS,
            "downsampling": (*POOLS, "strided"),
            "upsampling": UPSAMPLINGS,
        }
        for name, known in allowed.items():
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} must be one of {tuple(known)}, got {getattr(self, name)!r}"
                )
        if self.kernel_size % 2 == 0:
            raise ValueError(
                f"kernel_size must be odd to keep the size of the maps, got {self.kernel_size}"
            )

    @property
    def _even_kernel_size(self) -> int:
        """At stride 2 an odd kernel would shift the grid of an even size."""
        return self.kernel_size + 1 if self.group is None else 2 * self.kernel_size

    def convolution(
        self, in_channels: int, out_channels: int, kernel_size: int | None = None
    ) -> nn.Module:
        """A convolution between feature maps that keeps their size."""
        kernel_size = kernel_size or self.kernel_size
        return self._convolution(in_channels, out_channels, kernel_size, 1, kernel_size // 2)

    def lifting(self, in_channels: int, out_channels: int) -> nn.Module:
        """The convolution from the image to the first feature map."""
        if self.group is None:
            return self.convolution(in_channels, out_channels)
        arguments = in_channels, out_channels, self.kernel_size
        return LiftingConv(self.group, *arguments, padding="same", basis=self.basis)

    def strided(self, in_channels: int, out_channels: int) -> nn.Module:
        """A convolution that halves every axis of space, about the same centre."""
        size = self._even_kernel_size
        return self._convolution(in_channels, out_channels, size, 2, size // 2 - 1)

    def transposed(self, in_channels: int, out_channels: int) -> nn.Module:
        """A transposed convolution that doubles every axis of space, about the same centre."""
        size = self._even_kernel_size
        arguments = in_channels, out_channels, size, 2, size // 2 - 1
        if self.group is not None:
            return GroupConvTranspose(self.group, *arguments, basis=self.basis)
        conv = TRANSPOSED[self.dim](*arguments)
        # One of 2^dim weights of a kernel reaches a given pixel.
        fan_in = in_channels * (size / 2) ** self.dim
        nn.init.normal_(conv.weight, std=math.sqrt(2 / fan_in))
        return conv

    def normalization(self, channels: int) -> list[nn.Module]:
        """The normalisation, if there is any."""
        norm = NORMS[self.norm]
        if norm is None:
            return []
        on_group, ordinary = norm
        if self.group is None:
            return [ordinary[self.dim](channels, affine=True)]
        return [on_group(self.group, channels, affine=True)]

    def nonlinearity(self) -> list[nn.Module]:
        """The activation, anti-aliased if asked, and the dropout, if there is any."""
        activation = self.activation()
        if self.anti_aliased:
            activation = AntiAliased(activation, dim=self.dim)
        return [activation, GroupDropout(self.dropout)] if self.dropout else [activation]

    def unit(self, convolution: nn.Module, channels: int) -> nn.Sequential:
        """Convolution → norm → nonlinearity → dropout."""
        return nn.Sequential(convolution, *self.normalization(channels), *self.nonlinearity())

    def level(self, in_channels: int, out_channels: int) -> nn.Module:
        """Two convolutions: what a network does at one size of its maps."""
        first = self.unit(self.convolution(in_channels, out_channels), out_channels)
        second = self.convolution(out_channels, out_channels)
        if self.block == "double":
            return nn.Sequential(first, self.unit(second, out_channels))
        shortcut = (
            nn.Identity()
            if in_channels == out_channels
            else self.convolution(in_channels, out_channels, 1)
        )
        body = nn.Sequential(first, second, *self.normalization(out_channels))
        return ResidualUnit(body, shortcut, nn.Sequential(*self.nonlinearity()))

    def downsample(self, in_channels: int, out_channels: int) -> tuple[nn.Module, int]:
        """What halves every axis of space, and how many channels it gives.

        A strided convolution gives those of the next level; pooling keeps those it gets.
        """
        if self.downsampling == "strided":
            convolution = self.strided(in_channels, out_channels)
            return self.unit(convolution, out_channels), out_channels
        return POOLS[self.downsampling](2, dim=self.dim), in_channels

    def upsample(self, in_channels: int, out_channels: int) -> tuple[nn.Module, int]:
        """What doubles every axis of space, and how many channels it gives."""
        if self.upsampling == "transposed":
            convolution = self.transposed(in_channels, out_channels)
            return self.unit(convolution, out_channels), out_channels
        return SpatialUpsample(2, dim=self.dim), in_channels

    def _convolution(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int, padding: int
    ) -> nn.Module:
        if self.group is None:
            conv = CONVOLUTIONS[self.dim](in_channels, out_channels, kernel_size, stride, padding)
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            return conv
        return GroupConv(
            self.group, in_channels, out_channels, kernel_size, stride, padding, basis=self.basis
        )
