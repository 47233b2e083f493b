"""Augmentation moves image and mask alike, only as far as it says, and cuts where it should."""

import numpy as np
import pytest
import torch

from experiments.common.datamodule import AugmentedDataset
from experiments.tumour.augmentation import FACTORS, augmentation_transform

SIZE = 48


class Blob:
    """A ball off the middle, bright in the image and outlined in the mask."""

    def __init__(self, count=20, regions=1, radius=9.0):
        axis = torch.arange(SIZE) - (SIZE - 1) / 2
        depth, row, column = torch.meshgrid(axis, axis, axis, indexing="ij")
        inside = ((depth - 2) ** 2 + (row + 3) ** 2 + (column - 7) ** 2).sqrt() < radius
        self.mask = inside.float()[None].repeat(regions, 1, 1, 1)
        self.image = torch.stack([4.0 * inside.float(), -2.0 * inside.float()])
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return {"image": self.image, "mask": self.mask, "name": "b"}


def augmented(augmentation, patch=None, seed=0, **blob):
    return AugmentedDataset(Blob(**blob), augmentation_transform(augmentation, patch), seed)


def centre(item):
    """The mean place of the mask about the middle, (depth, row, column)."""
    return np.argwhere(item["mask"][0].numpy()).mean(axis=0) - (SIZE - 1) / 2


@pytest.mark.parametrize(
    ("augmentation", "patch"), [("none", 16), ("flip", None), ("scale", None), ("scale", 32)]
)
def test_a_sample_depends_on_seed_epoch_and_index_alone(augmentation, patch):
    one, other = (augmented(augmentation, patch, seed=3) for _ in range(2))
    list(map(one.__getitem__, [(0, 5), (1, 2), (2, 7)]))
    assert torch.equal(one[4, 6]["image"], other[4, 6]["image"])
    assert torch.equal(one[4, 6]["mask"], other[4, 6]["mask"])


@pytest.mark.parametrize(("augmentation", "patch"), [("none", 16), ("scale", None), ("scale", 32)])
def test_seed_epoch_and_index_each_change_the_sample(augmentation, patch):
    samples = [
        augmented(augmentation, patch, seed)[epoch, index]["image"]
        for seed, epoch, index in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    ]
    for i, sample in enumerate(samples):
        assert not any(torch.equal(sample, other) for other in samples[:i])


def test_none_of_whole_volumes_leaves_the_samples_alone():
    assert augmentation_transform("none", None) is None


@pytest.mark.parametrize("regions", [1, 3])
@pytest.mark.parametrize(
    ("augmentation", "patch"), [("none", 16), ("flip", None), ("scale", None), ("scale", 32)]
)
def test_items_keep_their_form(augmentation, patch, regions):
    data = augmented(augmentation, patch, regions=regions)
    edge = patch or SIZE
    for index in range(5):
        item = data[0, index]
        assert list(item) == ["image", "mask", "name"]
        assert type(item["image"]) is type(item["mask"]) is torch.Tensor
        assert item["image"].shape == (2, edge, edge, edge)
        assert item["mask"].shape == (regions, edge, edge, edge)
        assert item["image"].dtype == item["mask"].dtype == torch.float32
        assert set(item["mask"].unique().tolist()) <= {0.0, 1.0}
        assert item["name"] == "b"


@pytest.mark.parametrize(
    ("augmentation", "patch"), [("flip", None), ("scale", None), ("scale", 32)]
)
def test_image_and_mask_move_together(augmentation, patch):
    data = augmented(augmentation, patch)
    for index in range(20):
        item = data[0, index]
        bright = item["image"][0] >= 2.0
        differ = (bright != (item["mask"][0] > 0)).float().sum()
        assert differ <= 0.01 * float(item["mask"].sum())


def test_a_flip_mirrors_left_to_right_and_nothing_else():
    data = augmented("flip", count=60)
    columns = []
    for index in range(60):
        depth, row, column = centre(data[0, index])
        assert (round(depth), round(row)) == (2, -3)
        assert abs(column) == pytest.approx(7, abs=0.1)
        columns.append(column)
    assert 15 < sum(column > 0 for column in columns) < 45


def test_scale_zooms_about_the_centre_by_every_factor_of_its_range_and_fills_with_0():
    data = augmented("scale", count=60)
    original = float(Blob().mask.sum())
    factors = []
    for index in range(60):
        item = data[0, index]
        factor = (float(item["mask"].sum()) / original) ** (1 / 3)
        depth, row, column = centre(item)
        assert np.allclose([depth, row, abs(column)], np.array([2, -3, 7]) * factor, atol=0.8)
        factors.append(factor)
        assert not item["image"][:, 0].any()
    assert min(factors) > FACTORS[0] - 0.03
    assert max(factors) < FACTORS[1] + 0.03
    assert np.ptp(factors) > 0.3


def test_about_half_of_the_patches_are_cut_around_a_voxel_of_the_tumour():
    data = augmented("none", 16, count=80, radius=4.0)
    hit = [bool(data[0, index]["mask"][0, 7:9, 7:9, 7:9].any()) for index in range(80)]
    assert 25 < sum(hit) < 55


def test_patches_of_several_regions_are_cut_around_the_whole_tumour():
    class WithoutCore(Blob):
        def __getitem__(self, index):
            item = super().__getitem__(index)
            mask = item["mask"].clone()
            mask[1:] = 0
            return item | {"mask": mask}

    data = AugmentedDataset(WithoutCore(80, 3, 4.0), augmentation_transform("none", 16), 0)
    assert sum(bool(data[0, index]["mask"][0].any()) for index in range(80)) > 35
