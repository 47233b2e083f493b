"""Augmentation is reproducible, moves image and mask alike, and only as far as it says."""

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from experiments.common.datamodule import AugmentedDataset
from experiments.common.order import EpochOrder
from experiments.polyp.augmentation import augmentation

SIZE = 64


class Wedge(Dataset):
    """A wedge that points up, as image and as mask: every turn and mirror shows."""

    def __init__(self, count=20):
        row, column = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
        inside = (np.abs(column) < (row + 16) / 2) & (row < 16)
        self.mask = torch.from_numpy(inside.astype(np.float32))[None]
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return {"image": 0.2 + 0.5 * self.mask.repeat(3, 1, 1), "mask": self.mask, "name": "w"}


def augmented(samples, kind, seed):
    return AugmentedDataset(samples, augmentation(kind), seed)


def heading(mask):
    """The direction from the blunt end to the tip in degrees, from up, counter-clockwise."""
    row, column = np.nonzero(mask[0].numpy())
    x, y = column - column.mean(), row.mean() - row
    distance = np.hypot(x, y)
    far = distance > 0.7 * distance.max()
    skew = ((x + 1j * y) * distance**2).sum() if far.any() else 0
    return np.rad2deg(np.angle(skew)) - 90


@pytest.mark.parametrize("kind", ["none", "light", "rotate"])
def test_a_sample_depends_on_seed_epoch_and_index_alone(kind):
    one, other = (augmented(Wedge(), kind, seed=3) for _ in range(2))
    list(map(one.__getitem__, [(0, 5), (1, 2), (2, 7)]))
    assert torch.equal(one[4, 6]["image"], other[4, 6]["image"])
    assert torch.equal(one[4, 6]["mask"], other[4, 6]["mask"])


@pytest.mark.parametrize("kind", ["light", "rotate"])
def test_seed_epoch_and_index_each_change_the_sample(kind):
    samples = [
        augmented(Wedge(), kind, seed)[epoch, index]["image"]
        for seed, epoch, index in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    ]
    for i, sample in enumerate(samples):
        assert not any(torch.equal(sample, other) for other in samples[:i])


def test_none_leaves_the_samples_alone():
    samples = Wedge()
    item = augmented(samples, "none", seed=0)[3, 5]
    assert torch.equal(item["image"], samples[5]["image"])


@pytest.mark.parametrize("kind", ["light", "rotate"])
def test_items_keep_their_form(kind):
    data = augmented(Wedge(), kind, seed=0)
    for index in range(20):
        item = data[0, index]
        assert type(item["image"]) is type(item["mask"]) is torch.Tensor
        assert item["image"].shape == (3, SIZE, SIZE)
        assert item["image"].dtype == item["mask"].dtype == torch.float32
        assert 0 <= item["image"].min() <= item["image"].max() <= 1
        assert set(item["mask"].unique().tolist()) == {0.0, 1.0}
        assert item["name"] == "w"


@pytest.mark.parametrize("kind", ["light", "rotate"])
def test_image_and_mask_move_together(kind):
    data = augmented(Wedge(), kind, seed=0)
    for index in range(20):
        item = data[0, index]
        image = item["image"][0]
        bright = image > (image.min() + image.max()) / 2
        assert (bright != (item["mask"][0] > 0)).float().mean() < 0.02


def test_light_keeps_up_where_it_is_and_rotate_turns_every_way():
    light = augmented(Wedge(), "light", seed=0)
    upright = heading(Wedge()[0]["mask"])
    turns = [heading(light[0, i]["mask"]) - upright for i in range(20)]
    assert np.abs((np.array(turns) + 180) % 360 - 180).max() < 5
    rotate = augmented(Wedge(200), "rotate", seed=0)
    turns = [heading(rotate[0, i]["mask"]) - upright for i in range(200)]
    quadrants, _ = np.histogram(np.array(turns) % 360, bins=4, range=(0, 360))
    assert quadrants.min() > 30


def test_an_order_holds_every_index_once_with_the_epoch_of_the_moment():
    epoch = 0
    order = EpochOrder(10, seed=0, epoch=lambda: epoch)
    first = list(order)
    epoch = 1
    second = list(order)
    assert sorted(first) == [(0, index) for index in range(10)]
    assert sorted(second) == [(1, index) for index in range(10)]
    assert [index for _, index in first] != [index for _, index in second]
    assert len(order) == 10
