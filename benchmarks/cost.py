"""What a regular -> regular layer costs, relative to `nn.Conv2d` of the same expanded width.

Every round times the layer and the plain convolution one after the other, on one thread; the figure
is the median of the rounds' ratios. `forward` is in train mode, `step` is forward + backward with
the gradient of the input, `inference` is forward in eval mode without gradients. Building is timed
in a fresh process, with the growth of its peak memory.
"""

import argparse
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks import tables
from benchmarks.libraries import NAMES, Layer, Library, Unavailable, load
from benchmarks.measure import memory, ratio, reset_peak_memory, settle_allocator

# (layer, size of the maps, batch)
STEPS = (
    *((Layer(order, 16, kernel), 64, 4) for order in (4, 8) for kernel in (3, 5, 7)),
    (Layer(4, 16, 3), 16, 4),
    (Layer(8, 16, 5), 16, 4),
    (Layer(8, 16, 5), 8, 4),
    (Layer(8, 64, 3), 8, 4),
)
BUILDS = (Layer(4, 16, 3), Layer(8, 16, 5), Layer(8, 64, 3), Layer(8, 128, 7))


def forward(module: nn.Module, features: Tensor) -> Callable[[], object]:
    """One call of `module` in train mode, the graph recorded and dropped."""
    return lambda: module(features)


def inference(module: nn.Module, features: Tensor) -> Callable[[], object]:
    """One call of `module`, put into eval mode, without gradients."""
    module.eval()

    def once() -> None:
        with torch.no_grad():
            module(features)

    return once


def step(module: nn.Module, features: Tensor) -> Callable[[], object]:
    """Forward and backward, with the gradients of input and parameters."""

    def once() -> None:
        module.zero_grad()
        features.grad = None
        module(features).sum().backward()

    return once


def measure_steps(library: Library, rounds: int) -> list[tables.Row]:
    """The ratios of every layer in `STEPS`."""
    rows: list[tables.Row] = []
    settle_allocator()
    for layer, size, batch in STEPS:
        module, plain = library.convolution(layer).train(), layer.plain()
        features = torch.randn(batch, layer.channels, size, size, requires_grad=True)
        rows.append(
            {
                "library": library.name,
                "group": f"C{layer.order}",
                "kernel": layer.kernel_size,
                "channels": layer.channels,
                "maps": f"{batch}x{size}x{size}",
                "forward": ratio(forward(module, features), forward(plain, features), rounds),
                "step": ratio(step(module, features), step(plain, features), rounds),
                "inference": ratio(inference(module, features), inference(plain, features), rounds),
            }
        )
    return rows


def build(name: str, layer: Layer) -> tuple[float, float]:
    """Processor seconds and MB (peak above what was in use, weights included) to build `layer`.

    A tiny layer of another kernel size comes first, so that imports and warm-up do not count, but
    everything that the layer itself needs does.
    """
    torch.set_num_threads(1)
    library = load(name)
    library.convolution(Layer(layer.order, 1, layer.kernel_size + 2))
    before = reset_peak_memory()
    start = time.process_time()
    library.convolution(layer)
    return time.process_time() - start, memory("VmHWM") - before


def measure_builds(name: str) -> list[tables.Row]:
    """`build` for every layer in `BUILDS`, each in a process of its own."""
    rows: list[tables.Row] = []
    for layer in BUILDS:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            duration, memory = pool.apply(build, (name, layer))
        rows.append(
            {
                "library": name,
                "group": f"C{layer.order}",
                "kernel": layer.kernel_size,
                "channels": layer.channels,
                "seconds": duration,
                "MB": memory,
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--library", nargs="+", choices=NAMES, default=["gcnn"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    steps: list[tables.Row] = []
    builds: list[tables.Row] = []
    for name in options.library:
        try:
            library = load(name)
        except Unavailable as reason:
            print(f"skipped {name}: {reason}")
            continue
        steps += measure_steps(library, options.rounds)
        builds += measure_builds(name)
    tables.show("Cost of a layer in plain convolutions of the same width", steps)
    tables.show("Building a layer", builds)
    if options.json:
        tables.write(options.json, steps + builds)


if __name__ == "__main__":
    main()
