"""How far stacks of scale layers are from commuting with a zoom.

Images are sums of Gaussian blobs, zoomed by their formula (`gcnn.equivariance.Blobs`). The stack
maps one channel to eight fields through 1 or 3 layers without bias, ReLU between. The error is

    |y(L_s x)[k+j] - zoom_s y(x)[k]| / |y(L_s x)[k+j]|

over channels and all pairs of scales in the window, in a disc of radius 16 of 65 x 65 pixels, or a
ball of radius 8 of 33 cubed, float32; for the nearest scale (j = 1) and the farthest. With scales
that interact, what the end of the window does is told apart: `inside` are the pairs of which
neither saw past the end. Every figure is the median over weight seeds.

At random weights smooth functions answer strongest to the blobs, and could hide what the others
do. So weights are also scaled such that every function has the same norm ("unit"), which is the
same for white features, or such that all answer alike to the blobs ("level"), which lets second
derivatives of second derivatives decide in depth: the worst that training could make of it.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

from benchmarks import tables
from gcnn import filters, groups, layers
from gcnn.equivariance import Blobs, equivariance_error

SPACE = (1.0, 0.9, 0.81, 0.729)
PLANE = tuple(2 ** (i / 3) for i in range(4))
_FIELDS = 8


@dataclass(frozen=True)
class Uncorrected(filters.Basis):
    """The 27 products of Hermite functions as they are, σ = 1 pixel at scale 1 in any window.

    So they are usually sampled: a window of 5 pixels cuts them off at two standard deviations.
    """

    def move(self, matrices: Tensor, kernel_size: int) -> Tensor:
        scales = torch.diagonal(matrices, dim1=1, dim2=2)[:, 0]
        t = torch.arange(kernel_size, dtype=torch.float64) - (kernel_size - 1) / 2
        t = t / scales[:, None]
        gaussian = torch.exp(-t.square() / 2) / scales[:, None]
        along = torch.stack([gaussian, t * gaussian, (t.square() - 1) * gaussian])
        return torch.einsum("ahz,bhy,chx->abchzyx", along, along, along).flatten(0, 2)


@dataclass(frozen=True)
class Case:
    """A stack of layers.

    Attributes:
        dim, scales, kernel: of the group and its filters.
        basis: of the filters.
        depth: how many layers.
        interaction: how many scales interact.
        weights: "random", as layers are initialised, "unit" or "level".
    """

    dim: int
    scales: tuple[float, ...]
    kernel: int
    basis: filters.Basis = field(default_factory=filters.HermiteGaussian)
    depth: int = 3
    interaction: int = 1
    weights: str = "random"


_LONGER = tuple(0.9**i for i in range(6))
CASES = (
    *(Case(3, SPACE, kernel, Uncorrected(), depth) for kernel in (5, 7) for depth in (1, 3)),
    *(Case(3, SPACE, kernel, depth=depth) for kernel in (5, 7, 9) for depth in (1, 3)),
    *(Case(3, SPACE, 7, depth=d, weights=w) for w in ("unit", "level") for d in (1, 3)),
    Case(3, SPACE, 7, filters.HermiteGaussian(combine="tensor")),
    Case(3, _LONGER, 7),
    Case(3, _LONGER, 7, interaction=2),
    *(
        Case(2, PLANE, 15, filters.HermiteGaussian(3, half_width=half_width), depth)
        for half_width in (3.0, 3.5)
        for depth in (1, 3)
    ),
    Case(2, PLANE, 15, filters.HermiteGaussian(3), weights="level"),
    *(Case(2, PLANE, 15, filters.HermiteGaussian(6, half_width=h)) for h in (3.0, 4.0)),
)


def stack(case: Case, group: groups.Group) -> nn.Sequential:
    """The layers, at their default initialisation."""
    options = {"kernel_size": case.kernel, "padding": "same", "bias": False}
    modules: list[nn.Module] = [layers.LiftingConv(group, 1, _FIELDS, **options)]
    for _ in range(case.depth - 1):
        modules += [nn.ReLU(), layers.GroupConv(group, _FIELDS, _FIELDS, **options)]
    if case.weights != "random":
        answers = _norms(case, group) if case.weights == "unit" else _answers(case, group)
        for module in modules:
            if isinstance(module, layers.GroupConv | layers.LiftingConv):
                with torch.no_grad():
                    module.weight.mul_(answers.mean() / answers)
    return nn.Sequential(*modules)


def _norms(case: Case, group: groups.Group) -> Tensor:
    """The norm of every function, `(K,)`."""
    functions = group.basis.sample(group.matrices, case.kernel).float()
    return functions.flatten(1).norm(dim=1)


@torch.no_grad()
def _answers(case: Case, group: groups.Group) -> Tensor:
    """How strongly every function answers to an image of blobs, `(K,)`."""
    size = 65 if case.dim == 2 else 33
    image = Blobs(size=size, batch=1, dim=case.dim).images().float()
    count = len(group.basis.sample(group.matrices, case.kernel))
    probe = layers.LiftingConv(group, 1, count, case.kernel, padding="same", bias=False)
    probe.weight.copy_(torch.eye(count)[:, None])
    return probe(image)[0].flatten(1).square().mean(dim=1).sqrt()


def measure(case: Case, seeds: int) -> tables.Row:
    """The errors of one case."""
    group = groups.ScaleTranslation(case.scales, case.dim, case.interaction, basis=case.basis)
    farthest = group.order - 1
    size, inner = (65, 16 / 32.5) if case.dim == 2 else (33, 8 / 16.5)
    polluted = (case.interaction - 1) * case.depth
    all_pairs: list[tuple[float, float]] = []
    inside: list[float] = []
    ends: list[float] = []
    functions = 0
    for seed in range(seeds):
        torch.manual_seed(seed)
        network = stack(case, group)
        functions = network[0].weight.shape[-1]
        blobs = Blobs(size=size, batch=2, dim=case.dim, seed=seed)
        report = equivariance_error(network, group, blobs, [1, farthest], inner=inner)
        near, far = report.rows
        all_pairs.append((near.error, far.error))
        clean = near.per_element[1 : group.order - polluted]
        inside.append(_root_mean_square(clean))
        ends.append(_root_mean_square(near.per_element[group.order - polluted :]))
    row: dict[str, str | int | float | bool] = {
        "dim": case.dim,
        "scales": len(case.scales),
        "kernel": case.kernel,
        "functions": functions,
        "layers": case.depth,
        "interaction": case.interaction,
        "weights": case.weights,
        "basis": str(case.basis),
        "nearest": median(near for near, _ in all_pairs),
        "farthest": median(far for _, far in all_pairs),
        "inside, nearest": median(inside),
        "ends, nearest": median(ends) if polluted else "-",
    }
    return row


def _root_mean_square(errors: Sequence[float]) -> float:
    return (sum(e * e for e in errors) / len(errors)) ** 0.5 if errors else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    rows = [measure(case, options.seeds) for case in CASES]
    tables.show("Relative equivariance error of scale layers", rows)
    if options.json:
        tables.write(options.json, rows)


if __name__ == "__main__":
    main()
