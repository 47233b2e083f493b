"""Tell apart what the scales of a trained scale network see of tumours of other sizes.

    python -m scripts.tumour_window runs/lgg/scale_mean-25cases-none-seed?

Its projection, the mean or maximum over the scales, is replaced by each of the two and by single
scales, without any training. Printed in Markdown: Dice of the resampled test volumes against their
scale, the mean over cases and runs.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import torch
from rich.progress import track
from torch import Tensor, nn

from experiments.common.errors import UserError
from experiments.common.evaluation import TrainedRun
from experiments.tumour.datamodule import TumourData
from experiments.tumour.inference import choose_tile, segment
from experiments.tumour.resampling import zoom, zoom_mask
from experiments.tumour.scaling import SCALES, score
from experiments.tumour.train import TUMOUR
from experiments.tumour.volumes import preprocess
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


def measure(run: Path) -> dict[str, list[list[float]]]:
    """Dice of every test case, by projection and [scale]."""
    trained = TrainedRun.open(TUMOUR, run, "auto")
    network, data = trained.network, trained.data
    group = getattr(network, "group", None)
    if not isinstance(group, ScaleTranslation) or not isinstance(data, TumourData):
        raise UserError(f"{run}: {trained.config['network']} has no scales to tell apart")
    ways = projections(group)
    tile = choose_tile(None, data.window)
    found: dict[str, list[list[float]]] = {way: [[] for _ in SCALES] for way in ways}
    for name in track(data.split.test, run.name, transient=True):
        volume = preprocess(data.volume(name), data.voxel)
        image, mask = torch.from_numpy(volume.image), torch.from_numpy(volume.mask)
        for index, scale in enumerate(SCALES):
            scaled, truth = zoom(image, scale), zoom_mask(mask, scale)
            for way, projection in ways.items():
                network.project = projection
                result = score(segment(network, scaled, tile), truth, volume.spacing)
                found[way][index].append(result.mean("dice"))
    return found


def table(runs: Sequence[dict[str, list[list[float]]]]) -> str:
    """The mean over cases and runs."""
    lines = ["| projection | " + " | ".join(f"{scale:g}" for scale in SCALES) + " |"]
    lines.append("|---" + "|---:" * len(SCALES) + "|")
    for way in runs[0]:
        means = [fmean(fmean(run[way][index]) for run in runs) for index in range(len(SCALES))]
        lines.append(f"| {way} | " + " | ".join(f"{mean:.3f}"[1:] for mean in means) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure the runs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, help="trained runs of one scale network")
    options = parser.parse_args()
    print(table([measure(run) for run in options.runs]))


if __name__ == "__main__":
    main()
