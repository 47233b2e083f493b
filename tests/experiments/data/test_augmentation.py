"""Augmentation is reproducible, moves image and mask alike, and only as far as it says."""

import numpy as np
import pytest
import torch

from experiments.data.augmentation import FACTORS, augmentation
from experiments.data.module import AugmentedDataset

FLAT, EDGE = 64, 48


class Wedge:
    """A wedge that points up, as image and as mask: every turn and mirror shows."""

    def __init__(self):
        row, column = np.mgrid[:FLAT, :FLAT] - (FLAT - 1) / 2
        inside = (np.abs(column) < (row + 16) / 2) & (row < 16)
        self.mask = torch.from_numpy(inside.astype(np.float32))[None]
        self.image = 0.2 + 0.5 * self.mask.repeat(3, 1, 1)

    def __getitem__(self, _):
        return {"image": self.image, "mask": self.mask, "name": "a"}


class Blob(Wedge):
    """A ball off the middle, bright in the image and outlined in the mask."""

    def __init__(self, regions=1, radius=9.0):
        axis = torch.arange(EDGE) - (EDGE - 1) / 2
        depth, row, column = torch.meshgrid(axis, axis, axis, indexing="ij")
        inside = ((depth - 2) ** 2 + (row + 3) ** 2 + (column - 7) ** 2).sqrt() < radius
        self.mask = inside.float()[None].repeat(regions, 1, 1, 1)
        self.image = torch.stack([4.0 * inside.float(), -2.0 * inside.float()])


KINDS = [
    *((Wedge, "light", None), (Wedge, "rotate", None), (Blob, "none", 16)),
    *((Blob, "scale", None), (Blob, "scale", 32)),
]


def augmented(samples, kind, patch=None, seed=0):
    return AugmentedDataset(samples, augmentation(kind, patch), seed)


def heading(mask):
    """The direction from the blunt end to the tip in degrees, from up, counter-clockwise."""
    row, column = np.nonzero(mask[0].numpy())
    x, y = column - column.mean(), row.mean() - row
    distance = np.hypot(x, y)
    far = distance > 0.7 * distance.max()
    skew = ((x + 1j * y) * distance**2).sum() if far.any() else 0
    return np.rad2deg(np.angle(skew)) - 90


def centre(item):
    """The mean place of the mask about the middle, (depth, row, column)."""
    return np.argwhere(item["mask"][0].numpy()).mean(axis=0) - (EDGE - 1) / 2


@pytest.mark.parametrize(("samples", "kind", "patch"), [*KINDS, (Wedge, "none", None)])
def test_a_sample_depends_on_seed_epoch_and_index_alone(samples, kind, patch):
    one, other = (augmented(samples(), kind, patch, seed=3) for _ in range(2))
    list(map(one.__getitem__, [(0, 5), (1, 2), (2, 7)]))
    for key in ("image", "mask"):
        assert torch.equal(one[4, 6][key], other[4, 6][key])


@pytest.mark.parametrize(("samples", "kind", "patch"), KINDS)
def test_seed_epoch_and_index_each_change_the_sample(samples, kind, patch):
    found = [
        augmented(samples(), kind, patch, seed)[epoch, index]["image"]
        for seed, epoch, index in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    ]
    for i, sample in enumerate(found):
        assert not any(torch.equal(sample, other) for other in found[:i])


def test_none_of_whole_samples_leaves_them_alone():
    assert augmentation("none") is None
    assert torch.equal(augmented(Wedge(), "none")[3, 5]["image"], Wedge().image)


@pytest.mark.parametrize("regions", [1, 3])
@pytest.mark.parametrize(("samples", "kind", "patch"), [*KINDS, (Blob, "flip", None)])
def test_items_keep_their_form(samples, kind, patch, regions):
    original = samples(regions) if samples is Blob else samples()
    data = augmented(original, kind, patch)
    for index in range(5):
        item = data[0, index]
        assert list(item) == ["image", "mask", "name"] and item["name"] == "a"
        for key in ("image", "mask"):
            before = getattr(original, key)
            space = before.shape[1:] if patch is None else (patch,) * 3
            assert type(item[key]) is torch.Tensor and item[key].dtype == torch.float32
            assert item[key].shape == (len(before), *space)
        assert set(item["mask"].unique().tolist()) <= {0.0, 1.0}
        if samples is Wedge:
            assert 0 <= item["image"].min() <= item["image"].max() <= 1


@pytest.mark.parametrize(("samples", "kind", "patch"), [*KINDS, (Blob, "flip", None)])
def test_image_and_mask_move_together(samples, kind, patch):
    data = augmented(samples(), kind, patch)
    for index in range(20):
        item = data[0, index]
        image = item["image"][0]
        middle = (image.min() + image.max()) / 2 if samples is Wedge else 2.0
        differ = ((image >= middle) != (item["mask"][0] > 0)).float().mean()
        assert differ <= (0.02 if samples is Wedge else 0.01 * float(item["mask"].mean()))


def test_light_keeps_up_where_it_is_and_rotate_turns_every_way():
    upright = heading(Wedge().mask)
    light, rotate = (augmented(Wedge(), kind) for kind in ("light", "rotate"))
    turns = np.array([heading(light[0, i]["mask"]) - upright for i in range(20)])
    assert np.abs((turns + 180) % 360 - 180).max() < 5
    turns = np.array([heading(rotate[0, i]["mask"]) - upright for i in range(200)])
    quadrants, _ = np.histogram(turns % 360, bins=4, range=(0, 360))
    assert quadrants.min() > 30


def test_a_flip_mirrors_left_to_right_and_nothing_else():
    data = augmented(Blob(), "flip")
    places = np.array([centre(data[0, index]) for index in range(60)])
    assert (places[:, :2].round() == [2, -3]).all()
    assert np.allclose(np.abs(places[:, 2]), 7, atol=0.1)
    assert 15 < (places[:, 2] > 0).sum() < 45


def test_scale_zooms_about_the_centre_by_every_factor_of_its_range_and_fills_with_0():
    data, original, factors = augmented(Blob(), "scale"), float(Blob().mask.sum()), []
    for index in range(60):
        item = data[0, index]
        factors.append((float(item["mask"].sum()) / original) ** (1 / 3))
        depth, row, column = centre(item)
        expected = np.array([2, -3, 7]) * factors[-1]
        assert np.allclose([depth, row, abs(column)], expected, atol=0.8)
        assert not item["image"][:, 0].any()
    assert FACTORS[0] - 0.03 < min(factors) < max(factors) < FACTORS[1] + 0.03
    assert np.ptp(factors) > 0.3


@pytest.mark.parametrize("filled", [0, 2])
def test_about_half_of_the_patches_are_cut_around_a_voxel_of_any_region(filled):
    samples = Blob(3, 4.0)
    samples.mask[[region for region in range(3) if region != filled]] = 0
    data = augmented(samples, "none", 16)
    hit = [bool(data[0, i]["mask"][:, 7:9, 7:9, 7:9].any()) for i in range(80)]
    assert 25 < sum(hit) < 55
