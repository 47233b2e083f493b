"""The probabilities that a network gives for images, whole or through a sliding window."""

from collections.abc import Sequence

import torch
from monai.inferers.utils import sliding_window_inference
from torch import Tensor, nn

__all__ = ["probabilities"]

_OVERLAP = 0.25


@torch.no_grad()
def probabilities(
    network: nn.Module, images: Tensor, batch_size: int = 16, window: Sequence[int] | None = None
) -> Tensor:
    """Probabilities of a network with a sigmoid for each output channel, in eval mode.

    The network is left in the mode, train or eval, in which it came.

    Args:
        network: from images to logits.
        images: (B, C, *space).
        batch_size: how many images, or windows, go through at a time.
        window: the largest size that goes through the network at once. Images that are larger along
            any axis are seen through windows of this size that overlap by a quarter; where they
            overlap, the mean of the probabilities weighted by a Gaussian about the centre of each
            window counts. None: whole images.

    Returns:
        (B, regions, *space), on the device of the images.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; it must be at least 1")
    space = images.shape[2:]
    if window is not None and (len(window) != len(space) or min(window) < 1):
        raise ValueError(f"a window {tuple(window)} does not fit images of size {tuple(space)}")
    training = network.training
    # A network that is in eval mode already keeps what it has cached there.
    if training:
        network.eval()
    try:
        if window is None or all(n <= w for n, w in zip(space, window, strict=True)):
            parts = torch.split(images, batch_size)
            return torch.cat([_sigmoid(network, part) for part in parts])
        found = sliding_window_inference(
            images,
            [min(n, w) for n, w in zip(space, window, strict=True)],
            batch_size,
            lambda part: _sigmoid(network, part),
            overlap=_OVERLAP,
            mode="gaussian",
        )
        return torch.as_tensor(found)
    finally:
        if training:
            network.train()


def _sigmoid(network: nn.Module, images: Tensor) -> Tensor:
    logits: Tensor = network(images)
    return logits.float().sigmoid()
