"""What a projection makes of an object that changes in size: mean, maximum and selection.

Scenes are sums of Gaussian blobs: lumps with a dark core, which are the targets, among lumps with a
dark edge and clutter, all zoomed by their formula. A stack of three scale layers learns the targets
at one size, on four scales and with the mean over them; then the same weights are given a longer
window (`layers.rewindow`) and another projection.

1. The error of the projection against zoom, `|y(L_s x) - L_s y(x)| / |y(L_s x)|`
   (`equivariance.scale_curve`): logits of the trained network on scenes, and features of an
   untrained one on blobs. "one scale" is the error of the features of one scale against those of
   the scale they move to, over the window's steps nearest to the zoom: no projection can be better.
2. The Dice coefficient of the trained network on scenes at other sizes than that of the training.
3. The same where one image holds scenes of two sizes, side by side: chosen once for the image, or
   for every place (`radius`).
4. What was chosen: the mean weight of every scale.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks import tables
from gcnn import layers
from gcnn.equivariance import Blobs, scale_curve
from gcnn.geometry import grid_points
from gcnn.groups import ScaleTranslation

STEP = 1.25
ZOOMS = (0.6, 0.7, 0.8, 0.9, 1.1, 1.25, 1.4)
# Twice as long as the window of the training, and the same at half the steps.
WINDOWS = {
    "4": [STEP**-i for i in range(4)],
    "8": [STEP ** (3 - i) for i in range(8)],
    "15": [STEP ** (3 - i / 2) for i in range(15)],
}
PROJECTIONS = (("4", "mean"), ("8", "mean"), ("8", "max"), ("8", "select"), ("15", "select"))
UNTRAINED = {"score": "height", "sharpness": 64, "tilt": 0.25}
PAIRS = ((1.0, 1.0), (1.0, 0.8), (1.0, 0.6), (1.25, 0.7))
RADIUS = 24.0
_WIDTH, _SPACING, _CLUTTER = 4.0, 17.0, 60


@dataclass(frozen=True)
class Scenes(Blobs):
    """Three targets and four others in places of a grid of nine, and clutter, `(batch, 1, ...)`."""

    def moved(self, matrix: Tensor) -> Tensor:
        images, _ = self.drawn(float(matrix[0, 0]))
        return images.double()

    def drawn(self, zoom: float) -> tuple[Tensor, Tensor]:
        """The images, and the masks of the targets."""
        generator = torch.Generator().manual_seed(self.seed)
        places = grid_points((self.size, self.size)).float()
        scenes = [self._scene(places, zoom, generator) for _ in range(self.batch)]
        images, masks = (torch.stack(parts)[:, None] for parts in zip(*scenes, strict=True))
        return images, masks

    def _scene(
        self, places: Tensor, zoom: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        cells = torch.cartesian_prod(*2 * [torch.arange(-1.0, 2)])
        centres = cells[torch.randperm(9, generator=generator)[:7]] * _SPACING
        centres += 6 * torch.rand(7, 2, generator=generator) - 3
        angles = 6.2832 * torch.rand(7, generator=generator)
        aside = torch.stack([angles.cos(), angles.sin()], dim=1) * _WIDTH
        aside[:3] = 0
        # The clutter fills the image at the smallest zoom too.
        spread = (torch.rand(_CLUTTER, 2, generator=generator) - 0.5) * self.size / min(ZOOMS)
        widths = 2 + 3 * torch.rand(_CLUTTER, generator=generator)
        heights = 0.35 * torch.randn(_CLUTTER, generator=generator)
        blobs = (
            (centres, torch.full((7,), _WIDTH), torch.ones(7)),
            (centres + aside, torch.full((7,), _WIDTH / 2), torch.full((7,), -1.1)),
            (spread, widths, heights),
        )
        image = torch.zeros(places.shape[:-1])
        for centre, width, height in (blob for group in blobs for blob in zip(*group, strict=True)):
            distance = (places - zoom * centre).norm(dim=-1)
            image += height * torch.exp(-((distance / (zoom * width)) ** 2) / 2)
        near = [(places - zoom * c).norm(dim=-1) < 1.6 * zoom * _WIDTH for c in centres[:3]]
        return image, torch.stack(near).any(dim=0).float()


def stack(fields: int = 8, kernel_size: int = 9) -> nn.Sequential:
    """Three scale layers and a head, on the window of the training."""
    group = ScaleTranslation(WINDOWS["4"])
    options = {"kernel_size": kernel_size, "padding": "same"}
    return nn.Sequential(
        nn.Sequential(
            layers.LiftingConv(group, 1, fields, **options),
            layers.GroupBatchNorm(group, fields),
            nn.ReLU(),
            layers.GroupConv(group, fields, fields, **options),
            layers.GroupBatchNorm(group, fields),
            nn.ReLU(),
            layers.GroupConv(group, fields, fields, **options),
            layers.GroupBatchNorm(group, fields),
        ),
        nn.ReLU(),
        layers.GroupConv(group, fields, 1, kernel_size=1),
    )


def train(network: nn.Module, updates: int, seed: int) -> None:
    """Learn the targets at one size, from the mean over the scales."""
    images, masks = Scenes(size=64, batch=32, seed=seed + 1).drawn(1.0)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-2, total_steps=updates)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(updates):
        batch = torch.randint(len(images), (8,), generator=generator)
        quarter = int(torch.randint(4, (1,), generator=generator))
        x, y = (torch.rot90(part[batch], quarter, (2, 3)) for part in (images, masks))
        logits = network(x).mean(dim=2)
        p = logits.sigmoid()
        loss = F.binary_cross_entropy_with_logits(logits, y) - 2 * (p * y).sum() / (p + y).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def on_window(body: nn.Module, window: str, mode: str, **options: object) -> nn.Sequential:
    """The same weights on another window, projected."""
    group = ScaleTranslation(WINDOWS[window])
    pool = layers.GroupPool(group, mode, **options)
    return nn.Sequential(layers.rewindow(body, group), pool).eval()


def error_rows(name: str, body: nn.Module, inputs: Blobs, **options: object) -> list[tables.Row]:
    """The error of every projection, at every zoom."""
    rows = []
    for window, mode in PROJECTIONS:
        settings = options if mode == "select" else {}
        network = on_window(body, window, mode, **settings)
        errors = scale_curve(network, inputs, ZOOMS, inner=0.5).errors
        rows.append(_row(name, window, mode, errors))
    alone = [scale_curve(OneScale(body, zoom), inputs, [zoom], inner=0.5) for zoom in ZOOMS]
    rows.append(_row(name, "1", "one scale", [curve.errors[0] for curve in alone]))
    return rows


class OneScale(nn.Module):
    """The features of scale 1 of an image as it is, and those of scale `zoom` of the zoomed one."""

    def __init__(self, body: nn.Module, zoom: float) -> None:
        super().__init__()
        scales = sorted((1.0, zoom))
        self.body = layers.rewindow(body, ScaleTranslation(scales))
        self.still, self.zoomed = scales.index(1.0), scales.index(zoom)
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        # `scale_curve` asks for the image as it is first.
        self.calls += 1
        return self.body(x)[:, :, self.still if self.calls == 1 else self.zoomed]


@torch.no_grad()
def dice_rows(network: nn.Module) -> tuple[list[tables.Row], list[tables.Row]]:
    """Dice of every projection at every zoom, and what the longest window chose."""
    zooms = sorted((*ZOOMS, 1.0))
    scenes = [Scenes(size=96, batch=8, seed=99).drawn(zoom) for zoom in zooms]
    rows, chosen = [], []
    for window, mode in PROJECTIONS:
        projected = on_window(network, window, mode)
        found = [[_dice(*pair) for pair in zip(projected(x), y, strict=True)] for x, y in scenes]
        means = [sum(each) / len(each) for each in found]
        rows.append(_row("trained", window, mode, means, zooms))
    for zoom, (x, _) in zip(zooms, scenes, strict=True):
        (weights,) = layers.chosen(projected, x)
        names = [f"{scale:.2f}" for scale in WINDOWS[window]]
        shares = [f"{weight:.2f}" for weight in weights.mean(dim=0).tolist()]
        chosen.append({"zoom": zoom, **dict(zip(names, shares, strict=True))})
    return rows, chosen


@torch.no_grad()
def mixed_rows(network: nn.Module) -> list[tables.Row]:
    """Dice where half of every image is at one size and half at another."""
    rows = []
    for window, mode, radius in (
        ("4", "mean", None),
        ("15", "select", None),
        ("15", "select", RADIUS),
    ):
        options = {"radius": radius} if mode == "select" else {}
        projected = on_window(network, window, mode, **options)
        row: dict[str, str | int | float | bool] = {
            "scales": window, "projection": mode, "radius": radius or "-"
        }  # fmt: skip
        for zooms in PAIRS:
            halves = [Scenes(size=96, batch=8, seed=99 - i).drawn(z) for i, z in enumerate(zooms)]
            x, y = (torch.cat(parts, dim=3) for parts in zip(*halves, strict=True))
            found = [_dice(*pair) for pair in zip(projected(x), y, strict=True)]
            row[f"{zooms[0]:g} | {zooms[1]:g}"] = f"{sum(found) / len(found):.3f}"
        rows.append(row)
    return rows


def _dice(logits: Tensor, mask: Tensor) -> float:
    found = (logits > 0).float()
    return float(2 * (found * mask).sum() / (found + mask).sum())


def _row(
    name: str, window: str, mode: str, values: Sequence[float], zooms: Sequence[float] = ZOOMS
) -> tables.Row:
    figures = {f"{zoom:g}": f"{value:.3f}" for zoom, value in zip(zooms, values, strict=True)}
    return {"network": name, "scales": window, "projection": mode, **figures}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--updates", type=int, default=120, help="of the training; 0 skips it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    network = stack()
    blobs = Blobs(size=96, batch=3, radius=20.0)
    errors = error_rows("untrained", network[0], blobs, **UNTRAINED)
    dice: list[tables.Row] = []
    if options.updates:
        train(network, options.updates, options.seed)
        errors += error_rows("trained", network, Scenes(size=96, batch=4, seed=98))
        dice, chosen = dice_rows(network)
        mixed = mixed_rows(network)
    tables.show("Error of the projection against zoom", errors)
    if dice:
        tables.show("Dice against zoom", dice)
        tables.show("Dice on images with two sizes", mixed)
        tables.show("Mean weight of each scale, against zoom", chosen)
    if options.json:
        tables.write(options.json, [*errors, *dice])


if __name__ == "__main__":
    main()
