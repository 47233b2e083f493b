"""How far a stack of layers is from commuting with a rotation of C_N, for every basis and kernel.

Images are sums of Gaussian blobs, exact at every angle (`gcnn.equivariance.Blobs`). The stack maps
one channel to eight fields through 1 or 3 layers without bias. The error is the mean over images of

    |y(R x) - R y(x)| / |y(R x)|      within 20 pixels of the centre of 65 x 65,

in float64; R on features is exact at 90 degrees and a cubic spline otherwise, whose own error is
the floor. Every figure is the median over weight seeds.
"""

import argparse
from pathlib import Path
from statistics import median

import torch

from benchmarks import tables
from benchmarks.libraries import NAMES, Library, Unavailable, load
from gcnn import groups
from gcnn.equivariance import Blobs, equivariance_error

STACKS = ((1, "linear"), (3, "linear"), (3, "relu"), (3, "antialiased"))


def measure(
    library: Library, variant: str, order: int, kernel_size: int, seeds: int
) -> list[tables.Row]:
    """One row for each stack of `library`, at one step of C_N and at 90 degrees.

    Args:
        library: what builds the stacks.
        variant: its filter basis.
        order: N, a multiple of 4 above 4.
        kernel_size: edge of every kernel in pixels.
        seeds: how many times weights and images are drawn.
    """
    group = groups.SE2(order)
    rows: list[tables.Row] = []
    for depth, between in STACKS:
        reports = []
        for seed in range(seeds):
            torch.manual_seed(seed)
            try:
                network = library.stack(variant, order, kernel_size, depth, between)
            except Unavailable:
                break
            blobs = Blobs(seed=seed)
            reports.append(equivariance_error(network.double(), group, blobs, [1, order // 4]).rows)
        if reports:
            rows.append(
                {
                    "library": library.name,
                    "basis": variant,
                    "functions": library.functions(variant, order, kernel_size),
                    "group": f"C{order}",
                    "kernel": kernel_size,
                    "layers": depth,
                    "between": between,
                    "one step": median(step.error for step, _ in reports),
                    "floor": median(step.floor for step, _ in reports),
                    "90 degrees": median(quarter.error for _, quarter in reports),
                }
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--library", nargs="+", choices=NAMES, default=["gcnn"])
    parser.add_argument("--orders", nargs="+", type=int, default=[8, 12], help="N of C_N")
    parser.add_argument("--kernels", nargs="+", type=int, default=[3, 5, 7])
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    rows: list[tables.Row] = []
    for name in options.library:
        try:
            library = load(name)
        except Unavailable as reason:
            print(f"skipped {name}: {reason}")
            continue
        for variant in library.variants():
            for order in options.orders:
                for kernel_size in options.kernels:
                    rows += measure(library, variant, order, kernel_size, options.seeds)
    tables.show("Relative equivariance error, one step of C_N being 360 / N degrees", rows)
    if options.json:
        tables.write(options.json, rows)


if __name__ == "__main__":
    main()
