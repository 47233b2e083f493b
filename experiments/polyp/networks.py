"""The networks of the polyp study: U-Nets on groups of the plane, at comparable sizes."""

import functools
import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any

from experiments.common.errors import UserError
from experiments.common.networks import parameters, require_channels, require_network
from gcnn.groups import P4, P4M, SE2, Dihedral, Group, SteerableSE2
from gcnn.models import UNet

NETWORKS: dict[str, Callable[[], Group | None]] = {
    "plain": lambda: None,
    "p4": P4,
    "p4m": P4M,
    "se2_8": lambda: SE2(8),
    "se2_12": lambda: SE2(12),
    "steerable_8": lambda: SteerableSE2(8),
    "steerable_12": lambda: SteerableSE2(12),
    "dihedral_8": lambda: Dihedral(8),
}
"""The groups of the networks by their names, the plain U-Net first."""

PLAIN_CHANNELS = (16, 32, 64, 128, 256)
GROUP_CHANNELS = (8, 16, 32, 64, 128)

ARCHITECTURE = ("kernel_size", "downsampling", "anti_aliased")
"""Options of a run that are arguments of `gcnn.models.UNet`."""

# Factors between widths are multiples of one part in so many.
_STEPS = 2048


def build_network(name: str, channels: Sequence[int] | None = None, **architecture: Any) -> UNet:
    """The U-Net `name` for colour images `(batch, 3, H, W)`; its logits are `(batch, 1, H, W)`.

    `channels` are the fields of each level, the finest first. By default the plain network has
    16-32-64-128-256 channels and 1,965,569 parameters, the others half the width, which with p4
    gives nearly as many parameters. `architecture`: further arguments of `gcnn.models.UNet`.
    """
    require_network(name, NETWORKS)
    group = NETWORKS[name]()
    if channels is None:
        channels = PLAIN_CHANNELS if group is None else GROUP_CHANNELS
    return UNet(3, 1, group, channels, **architecture)


def matched_channels(name: str, channels: Sequence[int], **architecture: Any) -> list[int]:
    """Widths of `name`, all by one factor, for nearly as many parameters as the plain U-Net.

    At widths of a few channels the rounding can leave a difference of some ten per cent.
    """
    wanted = parameters(build_network("plain", channels, **architecture))

    def scaled(step: int) -> tuple[int, ...]:
        return tuple(max(1, round(step / _STEPS * width)) for width in channels)

    @functools.cache
    def size(widths: tuple[int, ...]) -> int:
        return parameters(build_network(name, widths, **architecture))

    wide = bisect_left(range(2 * _STEPS), wanted, lo=1, key=lambda step: size(scaled(step)))
    closest = min(scaled(wide - 1), scaled(wide), key=lambda widths: abs(size(widths) - wanted))
    return list(closest)


def network_arguments(options: dict[str, Any], data: Any = None) -> dict[str, Any]:
    """What `build_network` needs for a run with these options, whatever the data."""
    name, channels = options["network"], options["channels"]
    architecture = {option: options[option] for option in ARCHITECTURE if option in options}
    if channels is not None:
        channels = matched_channels(name, channels, **architecture)
    return {"name": name, "channels": channels, **architecture}


def check_network(name: str, channels: Sequence[int] | None, size: int) -> None:
    """Raises a `UserError` for what makes no network, or images that it cannot halve."""
    require_network(name, NETWORKS)
    require_channels(channels, math.inf, "16 32 64 128")
    levels = len(PLAIN_CHANNELS if channels is None else channels)
    step = 2 ** (levels - 1)
    if size < 1 or size % step:
        below, above = size // step * step, (size // step + 1) * step
        nearest = f"{below} or {above}" if below > 0 else f"{step}"
        raise UserError(
            f"--size {size}: {levels} levels need a size divisible by {step}; use {nearest}"
        )
