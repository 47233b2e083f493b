"""Probabilities for a volume of any size, by networks that take multiples of their strides."""

from __future__ import annotations

import sys
from types import EllipsisType
from typing import TypeAlias

from torch import Tensor, nn
from torch.nn import functional

from experiments.common.inference import probabilities
from experiments.tumour.data import MULTIPLE

__all__ = ["LARGEST", "choose_tile", "pad_to_multiple", "segment"]

Index: TypeAlias = tuple[EllipsisType, slice, slice, slice]

LARGEST = 160
"""Edge in voxels of what goes through a network at once, unless it was trained on less."""


def choose_tile(asked: int | None, patch: int | None) -> int:
    """The edge of the cubes through which a volume is seen: those of the training unless asked.

    Says so on stderr when other cubes are asked for than a network was trained on: what lies beyond
    a cube is zeros to the network, and it has learnt how far away they are.

    Args:
        asked: for; None for nothing.
        patch: edge of the cubes trained on; None if on whole volumes.
    """
    usual = patch or LARGEST
    if asked is None or asked == usual:
        return usual
    trained = "whole volumes" if patch is None else f"cubes of {patch} voxels"
    if patch is not None or asked < usual:
        print(
            f"note: the network was trained on {trained}; through cubes of {asked} it may find "
            "less, or nothing",
            file=sys.stderr,
        )
    return asked


def pad_to_multiple(volume: Tensor, multiple: int) -> tuple[Tensor, Index]:
    """A volume (*, D, H, W) with zeros around it, as evenly as possible, and where it lies in it.

    Returns:
        The padded volume, whose edges are the next multiples, one of them at least two: a map that
        a network shrinks to a single voxel has no statistics to normalise by. And the index into
        its last three axes that gives the volume back.
    """
    edges = [-(-size // multiple) * multiple for size in volume.shape[-3:]]
    if max(edges) == multiple:
        edges[-1] *= 2
    padding: list[int] = []
    places: list[slice] = []
    for size, edge in zip(volume.shape[-3:], edges, strict=True):
        before = (edge - size) // 2
        padding = [before, edge - size - before, *padding]
        places.append(slice(before, before + size))
    return functional.pad(volume, padding), (..., places[0], places[1], places[2])


def segment(network: nn.Module, image: Tensor, tile: int = LARGEST) -> Tensor:
    """Probabilities (R, D, H, W) of the regions for a preprocessed image (M, D, H, W) of any size.

    The image is padded with zeros, the value outside the brain, just as in training, and the
    padding cut off again.

    Args:
        network: from (B, M, D, H, W) to logits (B, R, D, H, W).
        image: on any device.
        tile: edge in voxels of the cubes through which a larger image is seen, a multiple of
            `data.MULTIPLE`; see `experiments.common.inference.probabilities`.

    Returns:
        float32, on the CPU.
    """
    parameter = next(network.parameters(), image)
    padded, place = pad_to_multiple(image, MULTIPLE)
    found = probabilities(network, padded[None].to(parameter.device), 1, (tile, tile, tile))
    return found[0][place].cpu()
