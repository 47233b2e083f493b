"""What a scale convolution costs axis by axis, beside the dense filters it amounts to.

The partner is the ordinary convolution of the same filters, in one group of channels for every
scale, with its filters at hand: expanding them from weights is not counted. Both run forward and
backward, with the gradients of input and weights, one after the other in every round on one
thread; the figure is the median of the rounds' ratios, above 1 where axis by axis is faster.

Memory is the growth of the process's peak in one step, each in a fresh process.
"""

import argparse
import multiprocessing
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch.nn import functional as F

from benchmarks import tables
from benchmarks.measure import memory, ratio, reset_peak_memory, settle_allocator
from gcnn import filters, groups, layers

_SCALES = (1.0, 0.9, 0.81, 0.729)


@dataclass(frozen=True)
class Case:
    """A convolution between feature maps on four scales.

    Attributes:
        kernel: edge of the window.
        functions: how the polynomials are combined, "total" (10) or "tensor" (27).
        interaction: how many scales interact.
        channels: fields, before and behind.
        size: edge of the volume.
    """

    kernel: int
    functions: str = "total"
    interaction: int = 1
    channels: int = 8
    size: int = 32


CASES = (
    *(Case(kernel) for kernel in (5, 7, 9)),
    *(Case(kernel, "tensor") for kernel in (7, 9)),
    *(Case(7, interaction=interaction) for interaction in (2, 4)),
    Case(7, channels=4, size=64),
    Case(7, channels=32, size=16),
)


def steps(case: Case) -> tuple[Callable[[], object], Callable[[], object]]:
    """One forward and backward pass axis by axis, and one with dense filters."""
    torch.manual_seed(0)
    basis = filters.HermiteGaussian(combine=case.functions)
    group = groups.ScaleTranslation(_SCALES, 3, case.interaction, basis=basis)
    layer = layers.GroupConv(
        group, case.channels, case.channels, case.kernel, padding="same", bias=False
    )
    shape = (1, case.channels, group.order, *(case.size,) * 3)
    x = torch.randn(shape, requires_grad=True)
    gradient = torch.randn(shape)
    dense_filters = layer.filters().detach().requires_grad_()
    channels = layer.kernel.arrangement.enter(x).detach().requires_grad_()

    def by_axes() -> None:
        torch.autograd.grad(layer(x), [x, layer.weight], gradient)

    def dense() -> None:
        y = F.conv3d(channels, dense_filters, padding=case.kernel // 2, groups=group.order)
        torch.autograd.grad(y, [channels, dense_filters], gradient.view_as(y))

    return by_axes, dense


def peak(case: Case, which: int) -> float:
    """MB by which the peak of memory grows in one of the two `steps`."""
    torch.set_num_threads(1)
    step = steps(case)[which]
    before = reset_peak_memory()
    step()
    return memory("VmHWM") - before


def measure(case: Case, rounds: int) -> tables.Row:
    """One row: how much faster, how long, and how much memory."""
    by_axes, dense = steps(case)
    alone, _ = steps(Case(**{**asdict(case), "interaction": 1}))
    row: dict[str, str | int | float | bool] = {
        **asdict(case),
        "faster": ratio(dense, by_axes, rounds),
        "of no interaction": ratio(by_axes, alone, rounds),
    }
    for which, name in enumerate(("MB", "MB dense")):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            row[name] = pool.apply(peak, (case, which))
    return row


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    settle_allocator()
    rows = [measure(case, options.rounds) for case in CASES]
    tables.show("Scale convolutions axis by axis, beside dense filters", rows)
    if options.json:
        tables.write(options.json, rows)


if __name__ == "__main__":
    main()
