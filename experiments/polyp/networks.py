"""The networks of the polyp study: the U-Nets of `gcnn.models`, at comparable sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from experiments.common.errors import UserError
from gcnn import models

NETWORKS: tuple[str, ...] = tuple(models.POLYP_UNETS)
"""Names of the networks, the plain U-Net first."""

SLIDES_LEVELS = 5
"""Levels of the networks at their own widths (`channels=None`)."""


ARCHITECTURE = ("kernel_size", "downsampling", "anti_aliased")
"""Options of a run that are arguments of `gcnn.models.UNet`."""


def build_network(
    name: str, channels: Sequence[int] | None = None, **architecture: Any
) -> nn.Module:
    """The U-Net `name` for colour images `(batch, 3, H, W)`; its logits are `(batch, 1, H, W)`.

    Args:
        name: one of `NETWORKS`.
        channels: fields of each level, the finest first; `None` = the widths of the study.
        architecture: further arguments of `gcnn.models.UNet`.

    Raises:
        UserError: there is no such network.
        ValueError: the channels or the architecture make no network.
    """
    if name not in NETWORKS:
        raise UserError(f"unknown network {name!r}; choose from {', '.join(NETWORKS)}")
    widths = None if channels is None else tuple(channels)
    network: nn.Module = models.polyp_unet(name, channels=widths, **architecture)
    return network


def parameters(network: nn.Module) -> int:
    """Number of trained values."""
    return sum(parameter.numel() for parameter in network.parameters())


def matched_channels(name: str, channels: Sequence[int], **architecture: Any) -> list[int]:
    """Fields of each level with which `name` has nearly as many parameters as the plain U-Net.

    Args:
        name: one of `NETWORKS`.
        channels: widths of the plain U-Net.
        architecture: of both, see `build_network`.

    Returns:
        `channels`, scaled by one factor and rounded. At widths of a few channels the rounding can
        leave a difference of some ten per cent.
    """
    wanted = parameters(build_network(NETWORKS[0], channels, **architecture))
    tried: dict[tuple[int, ...], int] = {}
    narrow, wide = 0.0, 2.0
    for _ in range(12):
        factor = (narrow + wide) / 2
        scaled = tuple(max(1, round(factor * width)) for width in channels)
        if scaled not in tried:
            tried[scaled] = parameters(build_network(name, scaled, **architecture))
        if tried[scaled] < wanted:
            narrow = factor
        else:
            wide = factor
    closest, _ = min(tried.items(), key=lambda item: abs(item[1] - wanted))
    return list(closest)


def network_arguments(options: dict[str, Any]) -> dict[str, Any]:
    """What `build_network` needs for a run with these options."""
    name, channels = options["network"], options["channels"]
    architecture = {option: options[option] for option in ARCHITECTURE if option in options}
    if channels is not None:
        channels = matched_channels(name, channels, **architecture)
    return {"name": name, "channels": channels, **architecture}


def check_network(name: str, channels: Sequence[int] | None, size: int) -> None:
    """Checks what a user asked for before anything is made.

    Raises:
        UserError: an unknown network, widths that make no network, or a size that cannot be halved
            once for each level but the first.
    """
    if name not in NETWORKS:
        raise UserError(f"--network {name}: unknown; choose from {', '.join(NETWORKS)}")
    if channels is not None and (len(channels) < 2 or min(channels) < 1):
        raise UserError(
            f"--channels {' '.join(map(str, channels))}: give two or more positive widths, "
            "for example 16 32 64 128"
        )
    levels = SLIDES_LEVELS if channels is None else len(channels)
    step = 2 ** (levels - 1)
    if size < 1 or size % step:
        below, above = size // step * step, (size // step + 1) * step
        nearest = f"{below} or {above}" if below > 0 else f"{step}"
        raise UserError(
            f"--size {size}: {levels} levels need a size divisible by {step}; use {nearest}"
        )
