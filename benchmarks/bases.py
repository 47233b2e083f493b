"""Which filter basis is moved best: its span, and networks before and after training.

For harmonics, the optimal basis and bilinearly turned pixels, at kernels of 3, 5 and 7 pixels: the
number of functions K, the worst and the mean steering error λ of their span, and the equivariance
error at 45 degrees of a network on C8 (three convolutions with normalisation and ReLU between), at
initialisation and after training it to segment generated polyps, with the Dice that it reached.
The error is measured on held-out images turned by cubic splines, whose floor is printed beside.
Figures are medians over seeds.
"""

import argparse
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks import tables
from experiments.data.generated.polyps import generate
from gcnn import equivariance, filters, groups, layers

SIZE = 48
TRAINING_IMAGES = 96
TEST_IMAGES = 16
BATCH = 8
FIELDS = 4
BASES: dict[str, filters.Basis] = {
    "bilinear pixels": filters.Pixels(),
    "bilinear pixels, disc": filters.Pixels(disc=True),
    "circular harmonics": filters.CircularHarmonics(),
    "optimal": filters.OptimalSteerable(),
}


@dataclass(frozen=True)
class Figures:
    """What is measured of one trained network."""

    initial_error: float
    trained_error: float
    floor: float
    dice: float


def polyps(first: int, count: int) -> tuple[Tensor, Tensor]:
    """Images `(count, 3, S, S)` in [0, 1] and masks `(count, 1, S, S)`."""
    pairs = [generate(index, size=SIZE) for index in range(first, first + count)]
    images = torch.stack([torch.from_numpy(image) for image, _ in pairs])
    masks = torch.stack([torch.from_numpy(mask) for _, mask in pairs])
    return images.float() / 255, masks.float()


def build(basis: filters.Basis, kernel_size: int) -> tuple[nn.Sequential, nn.Sequential]:
    """The convolutions, and the head that turns their features into logits."""
    group = groups.SE2(8, basis)
    same = {"padding": "same", "basis": basis}
    features = nn.Sequential(
        layers.LiftingConv(group, 3, FIELDS, kernel_size, **same),
        layers.GroupBatchNorm(group, FIELDS),
        nn.ReLU(),
        layers.GroupConv(group, FIELDS, FIELDS, kernel_size, **same),
        layers.GroupBatchNorm(group, FIELDS),
        nn.ReLU(),
        layers.GroupConv(group, FIELDS, FIELDS, kernel_size, **same),
    )
    return features, nn.Sequential(layers.GroupPool(group), nn.Conv2d(FIELDS, 1, 1))


def train(network: nn.Module, images: Tensor, masks: Tensor, steps: int) -> None:
    """Adam on cross-entropy and soft Dice, the learning rate falling to zero."""
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        batch = torch.arange(step * BATCH, (step + 1) * BATCH) % len(images)
        logits, truth = network(images[batch]), masks[batch]
        p = logits.sigmoid()
        soft_dice = 2 * (p * truth).sum() / (p.sum() + truth.sum())
        loss = F.binary_cross_entropy_with_logits(logits, truth) - soft_dice
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def measure(basis: filters.Basis, kernel_size: int, steps: int, seed: int) -> Figures:
    """Train one network and measure it before and after."""
    torch.manual_seed(seed)
    features, head = build(basis, kernel_size)
    group = features[0].group
    test_images, test_masks = polyps(TRAINING_IMAGES, TEST_IMAGES)
    # Without its mean an image is not dominated by what any blur leaves alone.
    mean = test_images.mean()
    initial = equivariance.equivariance_error(features, group, test_images - mean, [1])
    images, masks = polyps(0, TRAINING_IMAGES)
    train(nn.Sequential(features, head), images - mean, masks, steps)
    trained = equivariance.equivariance_error(features, group, test_images - mean, [1])
    with torch.no_grad():
        found = head(features(test_images - mean)) > 0
    truth = test_masks > 0
    dice = 2 * (found & truth).sum() / (found.sum() + truth.sum())
    return Figures(initial.worst, trained.worst, trained.rows[0].floor, float(dice))


def rows(
    bases: dict[str, filters.Basis], kernels: list[int], steps: int, seeds: int
) -> list[tables.Row]:
    """One row for each kernel and basis."""
    result: list[tables.Row] = []
    for kernel_size in kernels:
        for name, basis in bases.items():
            spans = equivariance.steering_errors(basis, kernel_size)
            runs = [measure(basis, kernel_size, steps, seed) for seed in range(seeds)]
            medians = [
                median(column) for column in zip(*(astuple(run) for run in runs), strict=True)
            ]
            row: tables.Row = {
                "k": kernel_size,
                "basis": name,
                "K": len(spans),
                "worst λ": float(spans[-1]),
                "mean λ": float(spans.mean()),
            }
            row |= {
                field.name: value for field, value in zip(fields(Figures), medians, strict=True)
            }
            print(row, flush=True)
            result.append(row)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bases", description=__doc__)
    parser.add_argument("--kernels", type=int, nargs="+", default=[3, 5, 7])
    parser.add_argument("--steps", type=int, default=300, help=f"training steps of {BATCH} images")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    result = rows(BASES, options.kernels, options.steps, options.seeds)
    tables.show("Filter bases", result)
    if options.json:
        tables.write(options.json, result)


if __name__ == "__main__":
    main()
