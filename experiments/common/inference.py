"""The probabilities that a network gives for images and volumes, whole or through windows."""

import sys

import torch
from monai.inferers.utils import sliding_window_inference
from torch import Tensor, nn

from experiments.common.errors import UserError

MULTIPLE = 16
"""Volumes are padded to multiples of this: the networks halve them four times."""

LARGEST = 160
"""Edge in voxels of what goes through a network at once, unless it was trained on less."""


@torch.no_grad()
def probabilities(
    network: nn.Module, images: Tensor, batch_size: int = 16, window: int | None = None
) -> Tensor:
    """Probabilities (B, regions, *space) in eval mode; the network is left in the mode it has.

    Images (B, C, *space) larger than the `window` are seen through windows of this edge that
    overlap by a quarter; where they do, the mean weighted by a Gaussian about their centres counts.
    """
    space, training = images.shape[2:], network.training
    # A network that is in eval mode already keeps what it has cached there.
    if training:
        network.eval()
    try:
        if window is None or max(space) <= window:
            parts = torch.split(images, batch_size)
            return torch.cat([network(part).float().sigmoid() for part in parts])
        found = sliding_window_inference(
            images,
            [min(edge, window) for edge in space],
            batch_size,
            lambda part: network(part).float().sigmoid(),
            overlap=0.25,
            mode="gaussian",
        )
        return torch.as_tensor(found)
    finally:
        if training:
            network.train()


def segment(network: nn.Module, image: Tensor, tile: int = LARGEST) -> Tensor:
    """Probabilities (R, D, H, W), on the CPU, for a prepared volume (M, D, H, W) of any size.

    It is padded evenly with zeros, the value outside the patient, to multiples of `MULTIPLE`; one
    edge to at least two of them: a map shrunk to a single voxel has no statistics to normalise by.
    """
    shape = image.shape[1:]
    edges = [-(-size // MULTIPLE) * MULTIPLE for size in shape]
    if max(edges) == MULTIPLE:
        edges[-1] *= 2
    sides = zip(edges, shape, strict=True)
    inside = (slice(None), *(slice((e - n) // 2, (e - n) // 2 + n) for e, n in sides))
    padded = image.new_zeros(len(image), *edges)
    padded[inside] = image
    device = next(network.parameters(), image).device
    return probabilities(network, padded[None].to(device), 1, tile)[0][inside].cpu()


def check_tile(edge: int | None) -> None:
    """Raises `UserError` unless every network takes cubes of this edge; None: that of training."""
    if edge is not None and (edge < MULTIPLE or edge % MULTIPLE):
        raise UserError(f"--tile {edge}: must be a multiple of {MULTIPLE}")


def choose_tile(asked: int | None, patch: int | None) -> int:
    """The edge of the cubes through which a volume is seen: those of the training unless asked.

    Says on stderr when others are asked for: what lies beyond a cube is zeros to the network, and
    it has learnt how far away they are.
    """
    check_tile(asked)
    usual = patch or LARGEST
    if asked is not None and (asked < usual or (patch and asked > patch)):
        trained = "whole volumes" if patch is None else f"cubes of {patch} voxels"
        told = f"trained on {trained}; through cubes of {asked} it may find less, or nothing"
        print(f"note: the network was {told}", file=sys.stderr)
    return asked or usual
