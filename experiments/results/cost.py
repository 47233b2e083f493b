"""What a network costs: parameters, multiply-accumulates, and time beside another network."""

import time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


@torch.no_grad()
def cost_of(
    network: nn.Module, reference: nn.Module, images: Tensor, repeats: int = 11
) -> dict[str, Any]:
    """Cost of a network for images (B, C, *space), its time relative to that of a reference.

    The two take turns, after a first pass each that fills their caches. Both are put in eval mode.
    Times are medians for one image; `ratio` is the median of the time of the network over that of
    the reference measured right before it, which other users of the machine disturb less.
    """
    for module in (network.eval(), reference.eval()):
        module(images)
    with FlopCounterMode(display=False) as counter:
        network(images[:1])
    seconds = np.array(
        [[_seconds(reference, images), _seconds(network, images)] for _ in range(repeats)]
    )
    reference_time, own_time = np.median(seconds, axis=0) * 1000 / len(images)
    return {
        "parameters": sum(p.numel() for p in network.parameters() if p.requires_grad),
        "multiply_accumulates": counter.get_total_flops() // 2,
        "milliseconds": float(own_time),
        "reference_milliseconds": float(reference_time),
        "ratio": float(np.median(seconds[:, 1] / seconds[:, 0])),
    }


def _seconds(network: nn.Module, images: Tensor) -> float:
    def now() -> float:
        if images.is_cuda:
            torch.cuda.synchronize(images.device)
        return time.perf_counter()

    start = now()
    network(images)
    return now() - start
