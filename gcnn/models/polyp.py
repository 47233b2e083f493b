"""The U-Nets of the polyp study, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gcnn.groups import P4, P4M, SE2, Dihedral, Group, SteerableSE2
from gcnn.models.unet import UNet

_PLAIN_CHANNELS = (16, 32, 64, 128, 256)
_GROUP_CHANNELS = (8, 16, 32, 64, 128)

_GROUPS: dict[str, Callable[[], Group | None]] = {
    "plain": lambda: None,
    "p4": P4,
    "p4m": P4M,
    "se2_8": lambda: SE2(8),
    "se2_12": lambda: SE2(12),
    "steerable_8": lambda: SteerableSE2(8),
    "steerable_12": lambda: SteerableSE2(12),
    "dihedral_8": lambda: Dihedral(8),
}
POLYP_UNETS = tuple(_GROUPS)


def polyp_unet(
    name: str,
    in_channels: int = 3,
    out_channels: int = 1,
    channels: Sequence[int] | None = None,
    **options: Any,
) -> UNet:
    """A U-Net of the polyp study.

    The plain network has 16-32-64-128-256 channels and 1,965,569 parameters. The others have a
    lifting layer, the same plan at half the width, and a maximum over the group before the head;
    with p4 that gives nearly the same number of parameters as the plain network.

    Args:
        name: one of `POLYP_UNETS`.
        in_channels: channels of the image.
        out_channels: channels of the logits.
        channels: other widths of the levels.
        options: passed to `UNet`.

    Raises:
        ValueError: unknown name.

    >>> sum(p.numel() for p in polyp_unet("plain").parameters())
    1965569
    """
    if name not in _GROUPS:
        raise ValueError(f"unknown network {name!r}; the polyp U-Nets are {', '.join(POLYP_UNETS)}")
    group = _GROUPS[name]()
    if channels is None:
        channels = _PLAIN_CHANNELS if group is None else _GROUP_CHANNELS
    return UNet(in_channels, out_channels, group, channels, **options)
