"""Separable group convolutions beside full ones: what they cost, and what they do to accuracy.

1. One layer, fields to as many fields: parameters, multiplications of the forward pass, and time of
   forward pass, training step and inference in that of the `GroupConv` of these fields and kernel.
2. Networks of three such layers, trained on generated data: Dice on generated polyps
   (C8, kernel 5), and accuracy in telling apart the eight shapes of four blobs in space, two of
   them mirror images, turned by any rotation (24 rotations of the cube, kernel 3). Separable ones
   have the same fields and as many updates; the same fields and as much time; or more fields, for
   about as much time. `seconds` is processor time of the training, data apart.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean, stdev

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import tables
from benchmarks.cost import forward, inference, step
from benchmarks.measure import ratio, settle_allocator
from experiments.data.generated.polyps import generate
from gcnn import layers
from gcnn.geometry import grid_points
from gcnn.groups import P4, Group, SteerableSE2
from gcnn.groups import generate as generated_group

_QUARTERS = ([[0, -1, 0], [1, 0, 0], [0, 0, 1]], [[1, 0, 0], [0, 0, -1], [0, 1, 0]])
_INVERSION = [[-1, 0, 0], [0, -1, 0], [0, 0, -1]]
CUBE = Group(generated_group(*_QUARTERS), name="cube 24")
FULL_CUBE = Group(generated_group(*_QUARTERS, _INVERSION), name="cube 48")
# (group, fields, kernel size, size of the maps, batch)
COSTS = (
    (P4(), 16, 3, 64, 4),
    (SteerableSE2(8), 16, 5, 64, 4),
    (CUBE, 8, 3, 16, 1),
    (FULL_CUBE, 4, 3, 16, 1),
)
KINDS = (layers.GroupConv, layers.SeparableGroupConv)
Kind = type[layers.GroupConv] | type[layers.SeparableGroupConv]
Batch = tuple[Tensor, Tensor]


def cost_rows(rounds: int) -> list[tables.Row]:
    """Every layer of `COSTS`, full and separable."""
    rows: list[tables.Row] = []
    settle_allocator()
    for group, fields, kernel_size, size, batch in COSTS:
        full, separable = (
            kind(group, fields, fields, kernel_size, padding="same", bias=False) for kind in KINDS
        )
        features = torch.randn(batch, fields, group.order, *(size,) * group.dim, requires_grad=True)
        row: dict[str, str | int | float | bool] = {
            "group": str(group), "fields": fields, "kernel": kernel_size,
            "maps": "x".join(map(str, (batch, *(size,) * group.dim))),
        }  # fmt: skip
        for name, count in (("parameters", _parameters), ("multiplications", _multiplications)):
            row[name] = f"{count(separable, features):,} / {count(full, features):,}"
        for call in (forward, step, inference):
            row[call.__name__] = ratio(
                call(separable.train(call is not inference), features),
                call(full.train(call is not inference), features),
                rounds,
            )
        rows.append(row)
    return rows


def _parameters(layer: nn.Module, features: Tensor) -> int:
    return sum(weight.numel() for weight in layer.parameters())


def _multiplications(layer: nn.Module, features: Tensor) -> int:
    """Of the forward pass, with the filters expanded already."""
    layer.eval()
    with torch.no_grad():
        layer(features)
        with FlopCounterMode(display=False) as counter:
            layer(features)
    return counter.get_total_flops() // 2


class Polyps:
    """Generated polyps of 64 pixels; the score is the mean Dice coefficient."""

    name, score_name, updates, batch = "polyps", "Dice", 300, 8
    group, fields, wider, kernel_size, last = SteerableSE2(8), 8, 12, 5, "max"
    in_channels, out_channels = 3, 1

    def __init__(self) -> None:
        # Training takes samples in turn, testing others.
        self.train, self.test = self._drawn(0, 320), self._drawn(10_000, 160)

    def _drawn(self, first: int, count: int) -> Batch:
        samples = [generate(index, size=64) for index in range(first, first + count)]
        images, masks = (
            torch.stack([torch.from_numpy(p) for p in s]) for s in zip(*samples, strict=True)
        )
        return images.float() / 128 - 1, masks.float()

    def batches(self, generator: torch.Generator) -> Iterator[Batch]:
        images, masks = self.train
        while True:
            chosen = torch.randint(len(images), (self.batch,), generator=generator)
            yield images[chosen], masks[chosen]

    def head(self, features: Tensor) -> Tensor:
        return F.interpolate(features, scale_factor=4, mode="bilinear")

    def loss(self, logits: Tensor, masks: Tensor) -> Tensor:
        p = logits.sigmoid()
        overlap = 2 * (p * masks).sum() / (p + masks).sum()
        return F.binary_cross_entropy_with_logits(logits, masks) - overlap

    def score(self, logits: Tensor, masks: Tensor) -> float:
        found = (logits > 0).float()
        both, either = (found * masks).sum((1, 2, 3)), (found + masks).sum((1, 2, 3))
        return float((2 * both / either).mean())


class Shapes:
    """Volumes of 12 pixels with one of eight shapes, turned, in noise; the score is accuracy."""

    name, score_name, updates, batch = "shapes", "accuracy", 250, 16
    group, fields, wider, kernel_size, last = CUBE, 6, 10, 3, "mean"
    in_channels, out_channels = 1, 8
    _PLACES = (
        ((0, 0, 0), (0, 0, 1), (1, 0, 0), (1, 1, 0)),
        ((0, 0, 0), (0, 0, 1), (1, 0, 0), (1, -1, 0)),
        ((0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 0)),
        ((0, 0, 0), (0, 0, 1), (0, 0, 2), (0, 0, 3)),
        ((0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)),
        ((0, 0, 0), (0, 0, 1), (0, 0, 2), (0, 1, 0)),
        ((0, 0, 0), (0, 0, 1), (0, 0, 2), (0, 1, 1)),
        ((0, 0, 0), (1, 0, 0), (1, 1, 0), (2, 1, 0)),
    )

    def __init__(self) -> None:
        self.test = self._drawn(800, torch.Generator().manual_seed(10_000))

    def _drawn(self, count: int, generator: torch.Generator) -> Batch:
        kinds = torch.randint(8, (count,), generator=generator)
        places = 2.2 * torch.tensor(self._PLACES, dtype=torch.float32)[kinds]
        places -= places.mean(dim=1, keepdim=True)
        turns, _ = torch.linalg.qr(torch.randn(count, 3, 3, generator=generator))
        turns *= torch.linalg.det(turns).view(-1, 1, 1)
        places = places @ turns + 2 * torch.rand(count, 1, 3, generator=generator) - 1
        grid = grid_points((12, 12, 12)).float()
        squared = (grid - places[:, :, None, None, None]).square().sum(dim=-1)
        volumes = torch.exp(-squared / (2 * 0.9**2)).sum(dim=1, keepdim=True)
        return volumes + 0.2 * torch.randn(volumes.shape, generator=generator), kinds

    def batches(self, generator: torch.Generator) -> Iterator[Batch]:
        while True:
            yield self._drawn(self.batch, generator)

    def head(self, features: Tensor) -> Tensor:
        return features.mean(dim=(2, 3, 4))

    def loss(self, logits: Tensor, kinds: Tensor) -> Tensor:
        return F.cross_entropy(logits, kinds)

    def score(self, logits: Tensor, kinds: Tensor) -> float:
        return float((logits.argmax(dim=1) == kinds).float().mean())


Task = Polyps | Shapes


def network(task: Task, kind: Kind, fields: int) -> nn.Sequential:
    """Lifting and three group convolutions, halved in size before the first and before the last."""
    group = task.group

    def block(first: nn.Module) -> list[nn.Module]:
        return [first, layers.GroupBatchNorm(group, fields), nn.ReLU()]

    def convolution() -> nn.Module:
        return kind(group, fields, fields, task.kernel_size, padding="same", bias=False)

    lifting = layers.LiftingConv(
        group, task.in_channels, fields, task.kernel_size, padding="same", bias=False
    )
    return nn.Sequential(
        *block(lifting),
        layers.SpatialMaxPool(2, group=group),
        *block(convolution()),
        *block(convolution()),
        layers.SpatialMaxPool(2, group=group),
        *block(convolution()),
        layers.GroupConv(group, fields, task.out_channels, kernel_size=1),
        layers.GroupPool(group, task.last),
    )


def trained(
    task: Task, kind: Kind, fields: int, updates: int, seed: int
) -> tuple[float, float, int]:
    """The score of a network on the test set, its processor time in training, its parameters."""
    torch.manual_seed(seed)
    model = network(task, kind, fields)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=updates)
    batches, seconds = task.batches(torch.Generator().manual_seed(seed)), 0.0
    for _ in range(updates):
        x, y = next(batches)
        start = time.process_time()
        optimizer.zero_grad()
        task.loss(task.head(model(x)), y).backward()
        optimizer.step()
        schedule.step()
        seconds += time.process_time() - start
    model.eval()
    with torch.no_grad():
        logits = torch.cat([task.head(model(x)) for x in task.test[0].split(16)])
    return task.score(logits, task.test[1]), seconds, _parameters(model, logits)


def accuracy_rows(task: Task, seeds: int) -> list[tables.Row]:
    """Full and separable networks of the same fields, and of the same time."""
    full, separable = KINDS
    found: dict[tuple[str, int, int], list[tuple[float, float, int]]] = {}
    for seed in range(seeds):

        def run(kind: Kind, fields: int, updates: int, name: str, seed: int = seed) -> float:
            result = trained(task, kind, fields, updates, seed)
            found.setdefault((name, fields, updates), []).append(result)
            return result[1]

        slow = run(full, task.fields, task.updates, "full")
        quick = run(separable, task.fields, task.updates, "separable")
        if seed == 0:
            # All seeds take as many updates as fit into the time of the first.
            longer = round(task.updates * slow / quick)
        run(separable, task.fields, longer, "separable, same time")
        run(separable, task.wider, task.updates, "separable, wider")
    return [_accuracy_row(task, *key, results) for key, results in found.items()]


def _accuracy_row(
    task: Task, name: str, fields: int, updates: int, results: list[tuple[float, float, int]]
) -> tables.Row:
    scores, seconds, parameters = zip(*results, strict=True)
    spread = stdev(scores) if len(scores) > 1 else float("nan")
    return {
        "task": task.name, "network": name, "fields": fields, "updates": updates,
        "parameters": parameters[0], "seconds": mean(seconds),
        task.score_name: f"{mean(scores):.3f} ± {spread:.3f}",
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seeds", type=int, default=4, help="of the training; 0 skips it")
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = cost_rows(options.rounds)
    tables.show("Separable / full", rows)
    for name in options.tasks if options.seeds else ():
        found = accuracy_rows(TASKS[name](), options.seeds)
        tables.show(f"Accuracy on {name}, mean and deviation of {options.seeds} seeds", found)
        rows += found
    if options.json:
        tables.write(options.json, rows)


TASKS: dict[str, Callable[[], Task]] = {"polyps": Polyps, "shapes": Shapes}


if __name__ == "__main__":
    main()
