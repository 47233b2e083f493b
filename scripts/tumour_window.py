"""Tell apart what the scales of a trained scale network see of tumours of other sizes.

    python -m scripts.tumour_window runs/lgg/scale_mean-25cases-none-seed0

Printed in Markdown, means over the test cases and runs, which were trained on whole volumes:

- Dice of the resampled volumes against their scale when the projection of the network, the mean or
  maximum over the scales, is replaced by each of the two and by single scales, not trained for it;
- the same with its own projection, by thirds of the cases, the smallest tumours first;
- how far the features are from scaling with the volume, for the scalings of the window: before the
  projection, those at corresponding scales, and behind it.
"""

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import torch
from rich.progress import track
from torch import Tensor, nn

from experiments.common.errors import UserError
from experiments.common.evaluation import TrainedRun
from experiments.data.transforms import prepare
from experiments.tumour.data import MULTIPLE
from experiments.tumour.inference import pad_to_multiple, segment
from experiments.tumour.scaling import SCALES, score, zoom_mask
from experiments.tumour.train import TUMOUR
from gcnn.geometry import zoom
from gcnn.groups import ScaleTranslation
from gcnn.layers import GroupPool


class OneScale(nn.Module):
    """The features at one scale, from (batch, channels, scales, *space)."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self.index = index

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, *space)."""
        return x[:, :, self.index]


def projections(group: ScaleTranslation) -> dict[str, nn.Module]:
    """All ways to project, by what the table calls them."""
    single = {f"scale {scale:.2g} alone": OneScale(i) for i, scale in enumerate(group.scales)}
    return {"mean": GroupPool(group, "mean"), "max": GroupPool(group, "max"), **single}


@dataclass(frozen=True)
class Findings:
    """What one run shows.

    Attributes:
        dice: of every test case, by projection and [scale].
        sizes: voxels of the tumours as trained on, by case.
        own: the projection that the network was trained with.
        features, projected: errors of every case, by scaling.
    """

    dice: dict[str, list[list[float]]]
    sizes: list[int]
    own: str
    features: dict[float, list[float]]
    projected: dict[float, list[float]]


@torch.no_grad()
def measure(run: Path) -> Findings:
    """All findings on one run."""
    trained = TrainedRun.open(TUMOUR, run, "cpu")
    network, data = trained.network, trained.data
    group = getattr(network, "group", None)
    own = getattr(network, "project", None)
    if not isinstance(group, ScaleTranslation) or not isinstance(own, GroupPool):
        raise UserError(f"{run}: {trained.config['network']} has no scales to tell apart")
    if data.window is not None:
        raise UserError(f"{run}: trained on patches, should be on whole volumes")
    ways = projections(group)
    found = Findings({way: [[] for _ in SCALES] for way in ways}, [], own.mode, {}, {})
    for name in track(data.split.test, run.name, transient=True):
        volume = prepare(data.sample(name), spacing=data.voxel)
        image, mask = volume.values, volume.mask
        found.sizes.append(int(mask[0].sum()))
        for index, scale in enumerate(SCALES):
            scaled, truth = zoom(image, scale, dim=3), zoom_mask(mask, scale)
            for way, projection in ways.items():
                network.project = projection
                result = score(segment(network, scaled), truth, volume.spacing)
                found.dice[way][index].append(result.mean("dice"))
        still = features(network, image)
        for step, scale in enumerate(group.scales[1:], start=1):
            moved = features(network, zoom(image, scale, dim=3))
            pairs = zip(moved.unbind(1)[step:], still.unbind(1), strict=False)
            errors = [error(there, zoom(here, scale, dim=3)) for there, here in pairs]
            found.features.setdefault(scale, []).append(fmean(errors))
            whole = error(own(moved[None])[0], zoom(own(still[None])[0], scale, dim=3))
            found.projected.setdefault(scale, []).append(whole)
    return found


def features(network: nn.Module, image: Tensor) -> Tensor:
    """What goes into the projection, (channels, scales, D, H, W), for an image (M, D, H, W)."""
    padded, place = pad_to_multiple(image, MULTIPLE)
    network.project = nn.Identity()
    head, network.head = network.head, nn.Identity()
    try:
        found: Tensor = network(padded[None])[0][place]
    finally:
        network.head = head
    return found


def error(observed: Tensor, expected: Tensor) -> float:
    """Their distance, relative to the mean of their norms."""
    return float(2 * (observed - expected).norm() / (observed.norm() + expected.norm()))


def row(name: str, values: Iterable[float]) -> str:
    """A line of a table."""
    return " | ".join([f"| {name}", *(f"{value:.3f}".removeprefix("0") for value in values)]) + " |"


def table(title: str, columns: Sequence[float], rows: dict[str, list[float]]) -> str:
    """A table in Markdown."""
    header = " | ".join([f"| {title}", *(f"{column:.3g}" for column in columns)]) + " |"
    lines = [row(name, values) for name, values in rows.items()]
    return "\n".join([header, "|---" + "|---:" * len(columns) + "|", *lines, ""])


def by_size(run: Findings) -> list[list[float]]:
    """Dice with the network's own projection, by third of the cases and scale."""
    order = sorted(range(len(run.sizes)), key=run.sizes.__getitem__)
    cuts = [len(order) * third // 3 for third in range(4)]
    thirds = [order[low:high] for low, high in pairwise(cuts)]
    rows = run.dice[run.own]
    return [[fmean(values[case] for case in third) for values in rows] for third in thirds]


def over_runs(tables: Sequence[list[list[float]]]) -> list[list[float]]:
    """The mean of several tables, cell by cell."""
    return [[fmean(cell) for cell in zip(*rows, strict=True)] for rows in zip(*tables, strict=True)]


def report(runs: Sequence[Findings]) -> str:
    """All tables."""
    ways = list(runs[0].dice)
    dice = over_runs([[[fmean(v) for v in run.dice[way]] for way in ways] for run in runs])
    thirds = over_runs([by_size(run) for run in runs])
    scalings = list(runs[0].features)
    errors = over_runs(
        [[[fmean(e[s]) for s in scalings] for e in (r.features, r.projected)] for r in runs]
    )
    named = ("smallest third", "middle third", "largest third")
    parts = ("before the projection", "behind it")
    return "\n".join(
        [
            table("projection", SCALES, dict(zip(ways, dice, strict=True))),
            table("tumours", SCALES, dict(zip(named, thirds, strict=True))),
            table("error of the features", scalings, dict(zip(parts, errors, strict=True))),
        ]
    )


def main() -> None:
    """Measure the runs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, help="trained runs of one scale network")
    options = parser.parse_args()
    print(report([measure(run) for run in options.runs]))


if __name__ == "__main__":
    main()
