"""Tell apart what the scales of a trained scale network see of tumours of other sizes.

    python -m scripts.projections runs/lgg/scale_mean-25cases-none-seed0

Printed are means over the test cases and runs, which were trained on whole volumes: Dice of the
resampled volumes against their scale when the projection of the network, the mean or maximum over
the scales, is replaced by each of the two and by single scales, not trained for it; the same with
its own projection, by thirds of the cases, the smallest tumours first; and how far the features are
from scaling with the volume, before the projection at corresponding scales, and after it.
"""

import argparse
import math
from pathlib import Path
from statistics import fmean

import pandas as pd
import torch
from torch import Tensor, nn

from experiments.common.errors import UserError
from experiments.results.evaluation import TrainedRun
from experiments.results.metrics import dice
from experiments.tumour.datamodule import MULTIPLE, TumourData
from experiments.tumour.inference import pad_to_multiple, segment
from experiments.tumour.scaling import SCALES, zoom_mask
from experiments.tumour.train import TUMOUR
from experiments.tumour.volumes import preprocess
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


@torch.no_grad()
def measure(run: Path) -> pd.DataFrame:
    """Rows with what was measured, how the network projected, the case, its size, at and value."""
    trained = TrainedRun.open(TUMOUR, run, "cpu")
    network, data = trained.network, trained.data
    group, own = getattr(network, "group", None), getattr(network, "project", None)
    if not isinstance(group, ScaleTranslation) or not isinstance(own, GroupPool):
        raise UserError(f"{run}: {trained.config['network']} has no scales to tell apart")
    if not isinstance(data, TumourData) or data.window is not None:
        raise UserError(f"{run}: trained on patches, should be on whole volumes")
    ways: dict[str, nn.Module] = {mode: GroupPool(group, mode) for mode in ("mean", "max")}
    ways |= {f"scale {scale:.2g} alone": OneScale(i) for i, scale in enumerate(group.scales)}
    rows = []
    for name in data.split.test:
        volume = preprocess(data.volume(name), data.voxel)
        image, mask = torch.from_numpy(volume.image), torch.from_numpy(volume.mask)
        about = {"run": str(run), "case": name, "size": int(mask[0].sum())}
        for scale in SCALES:
            scaled, truth = zoom(image, scale, dim=3), zoom_mask(mask, scale).float()
            for way, network.project in ways.items():
                found = (segment(network, scaled) > 0.5).float()
                value = dice(found[None], truth[None]).mean().item()
                used = {"way": way, "own": way == own.mode}
                rows.append({"what": "dice", "at": scale, "value": value} | about | used)
        still = features(network, image)
        for step, scale in enumerate(group.scales[1:], start=1):
            moved = features(network, zoom(image, scale, dim=3))
            pairs = zip(moved.unbind(1)[step:], still.unbind(1), strict=False)
            parts = [error(there, zoom(here, scale, dim=3)) for there, here in pairs]
            whole = error(own(moved[None])[0], zoom(own(still[None])[0], scale, dim=3))
            for way, value in (("before the projection", fmean(parts)), ("after it", whole)):
                rows.append({"what": "error", "at": scale, "value": value, "way": way} | about)
    return pd.DataFrame(rows)


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


def main() -> None:
    """Measure the runs and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, help="trained runs of one scale network")
    rows = pd.concat([measure(run) for run in parser.parse_args().runs])
    scores = rows[rows["what"] == "dice"]
    own = scores[scores["own"].astype(bool)]
    thirds = own["size"].rank(pct=True).mul(3).apply(math.ceil)
    own = own.assign(way="tumours, third " + thirds.astype(str)).sort_values("way")
    for table in (scores, own, rows[rows["what"] == "error"]):
        wide = table.pivot_table(index="way", columns="at", values="value", sort=False)
        print(f"\n{wide.round(3).to_string()}")


if __name__ == "__main__":
    main()
