"""What a network costs: parameters, multiply-accumulates, and time beside another network."""

import statistics
import time
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

__all__ = ["cost_of"]


@torch.no_grad()
def cost_of(
    network: nn.Module, reference: nn.Module, images: Tensor, repeats: int = 11
) -> dict[str, Any]:
    """Cost of a network for images (B, C, *space), its time relative to that of a reference.

    The two take turns, after a first pass each that fills their caches. Both are put in eval mode.

    Returns:
        `parameters`, `multiply_accumulates` of one image, `milliseconds` and
        `reference_milliseconds` of one image, and `ratio`: the median of the time of the network
        over that of the reference measured right before it. On a machine that others use too it is
        steadier than the times.
    """
    if repeats < 1 or len(images) < 1:
        raise ValueError(
            f"{repeats} repeats of {len(images)} images; at least one of each is needed"
        )
    for module in (network.eval(), reference.eval()):
        module(images)
    with FlopCounterMode(display=False) as counter:
        network(images[:1])
    pairs = [(_seconds(reference, images), _seconds(network, images)) for _ in range(repeats)]
    per_image = 1000 / len(images)
    return {
        "parameters": sum(p.numel() for p in network.parameters() if p.requires_grad),
        "multiply_accumulates": counter.get_total_flops() // 2,
        "milliseconds": per_image * statistics.median(own for _, own in pairs),
        "reference_milliseconds": per_image * statistics.median(other for other, _ in pairs),
        "ratio": statistics.median(own / other for other, own in pairs),
    }


def _seconds(network: nn.Module, images: Tensor) -> float:
    _synchronise(images)
    start = time.perf_counter()
    network(images)
    _synchronise(images)
    return time.perf_counter() - start


def _synchronise(images: Tensor) -> None:
    if images.is_cuda:
        torch.cuda.synchronize(images.device)
