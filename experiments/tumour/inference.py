"""Probabilities for a volume of any size, by a network that takes multiples of its stride."""

from __future__ import annotations

from collections.abc import Sequence
from types import EllipsisType
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from experiments.common.metrics import probabilities

__all__ = ["pad_to_multiple", "segment", "size_multiple"]

Index: TypeAlias = tuple[EllipsisType, slice, slice, slice]


def size_multiple(network: nn.Module) -> int:
    """What every edge of the input must be a multiple of; 1 if the network does not say."""
    return int(getattr(network, "size_multiple", 1))


def pad_to_multiple(volume: Tensor, multiple: int) -> tuple[Tensor, Index]:
    """A volume (*, D, H, W) with zeros around it, as evenly as possible, and where it lies in it.

    Returns:
        The padded volume, whose edges are the next multiples, and the index into its last three
        axes that gives the volume back.
    """
    padding: list[int] = []
    places: list[slice] = []
    for size in volume.shape[-3:]:
        missing = -size % multiple
        padding = [missing // 2, missing - missing // 2, *padding]
        places.append(slice(missing // 2, missing // 2 + size))
    return functional.pad(volume, padding), (..., places[0], places[1], places[2])


def segment(
    network: nn.Module, image: Tensor, device: torch.device, window: int | None = None
) -> Tensor:
    """Probabilities (R, D, H, W) of the regions for a preprocessed image (M, D, H, W) of any size.

    The image is padded with zeros, the value outside the brain, to what the network can take, and
    the padding cut off again.

    Args:
        network: from (B, M, D, H, W) to logits (B, R, D, H, W), on `device`.
        image: on any device.
        device: where the network is.
        window: edge in voxels of the windows through which a larger image is seen, brought up to a
            multiple of what the network takes; None: the whole image at once.

    Returns:
        float32, on the CPU.
    """
    multiple = size_multiple(network)
    padded, place = pad_to_multiple(image, multiple)
    windows: Sequence[int] | None = None
    if window is not None:
        windows = [-(-window // multiple) * multiple] * 3
    found = probabilities(network, padded[None].to(device), 1, windows)
    return found[0][place].cpu()
