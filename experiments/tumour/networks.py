"""The networks of the tumour study: the 3D U-Nets of `gcnn.models`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from experiments.common.errors import UserError
from experiments.data.module import StudyData
from experiments.tumour.data import MULTIPLE
from gcnn import models

__all__ = ["NETWORKS", "build_network", "check_network", "network_arguments"]

NETWORKS: tuple[str, ...] = tuple(models.TUMOUR_UNETS)
"""Names of the networks, the plain U-Net first."""

MOST_LEVELS = MULTIPLE.bit_length() - 1
"""Of the scale-equivariant networks: the plain one has a level more, and volumes must fit it."""


def build_network(
    name: str,
    in_channels: int,
    out_channels: int,
    channels: Sequence[int] | None = None,
    **architecture: Any,
) -> nn.Module:
    """The 3D U-Net `name`, from volumes `(batch, in_channels, D, H, W)` to logits of the regions.

    Args:
        name: one of `NETWORKS`.
        in_channels: modalities.
        out_channels: regions.
        channels: fields of each level of the scale-equivariant networks, the finest first; the
            others follow from them. None: those of the study, 4-8-16-32.
        architecture: further arguments of `gcnn.models.UNet`.

    Raises:
        UserError: there is no such network.
        ValueError: the channels or the architecture make no network.
    """
    if name not in NETWORKS:
        raise UserError(f"unknown network {name!r}; choose from {', '.join(NETWORKS)}")
    widths = None if channels is None else tuple(channels)
    network: nn.Module = models.tumour_unet(
        name, in_channels, out_channels, channels=widths, **architecture
    )
    return network


def network_arguments(options: dict[str, Any], data: StudyData) -> dict[str, Any]:
    """What `build_network` needs for a run with these options on these data."""
    name = options["network"]
    architecture = {"norm": options["norm"]}
    if name.startswith("scale"):
        architecture["kernel_size"] = options["window"]
    return {
        "name": name,
        "in_channels": len(data.modalities),
        "out_channels": len(data.regions),
        "channels": options["channels"],
        **architecture,
    }


def check_network(name: str, channels: Sequence[int] | None) -> None:
    """Checks what a user asked for before anything is made.

    Raises:
        UserError: an unknown network, or widths that make no network for the volumes of the data.
    """
    if name not in NETWORKS:
        raise UserError(f"--network {name}: unknown; choose from {', '.join(NETWORKS)}")
    if channels is not None and (not 2 <= len(channels) <= MOST_LEVELS or min(channels) < 1):
        raise UserError(
            f"--channels {' '.join(map(str, channels))}: give 2 to {MOST_LEVELS} positive widths, "
            "for example 4 8 16 32"
        )
