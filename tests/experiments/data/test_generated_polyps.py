"""Generated polyps are reproducible, not trivial, and give no direction away unless asked to."""

import time
from functools import cache

import numpy as np
import pytest
from PIL import Image

from experiments.data.generated.polyps import generate, write_generated
from experiments.data.generated.waves import plane_waves
from experiments.data.layouts import find

SIZE = 48
CHI_SQUARED_999 = {3: 16.27, 7: 24.32}
"""99.9 % quantiles of the chi-squared distribution, by degrees of freedom."""


def axes(size):
    return (((np.arange(size) + 0.5) * 2 / size - 1),) * 2


@cache
def many(lit=False):
    """Brightness and masks of 400 samples, each of shape (400, SIZE, SIZE)."""
    pairs = [generate(index, size=SIZE, lit=lit) for index in range(400)]
    images, masks = (np.stack(arrays).astype(float) for arrays in zip(*pairs, strict=True))
    return images.mean(axis=1), masks[:, 0]


def smooth_slopes(fields, width=1.5):
    """Derivatives of Gaussian-smoothed fields to the right and upwards, the same on all angles."""
    frequency = 2 * np.pi * np.fft.fftfreq(fields.shape[-1])
    along_y, along_x = np.meshgrid(frequency, frequency, indexing="ij")
    smoothed = np.fft.fft2(fields) * np.exp(-(width**2) * (along_x**2 + along_y**2) / 2)
    return np.fft.ifft2(1j * along_x * smoothed).real, -np.fft.ifft2(1j * along_y * smoothed).real


def directions(fields, bins):
    """How much of each field's slope points where, of shape (count, bins), within the disc."""
    size = fields.shape[-1]
    axis = np.arange(size) - (size - 1) / 2
    disc = np.hypot(axis, axis[:, None]) < 0.42 * size
    right, up = (slope[:, disc] for slope in smooth_slopes(fields))
    sector = np.round(np.arctan2(up, right) / (2 * np.pi / bins)).astype(int) % bins
    length = np.hypot(right, up)
    shares = np.stack([(length * (sector == b)).sum(axis=1) for b in range(bins)], axis=1)
    return shares / shares.sum(axis=1, keepdims=True)


def unevenness(shares):
    """Hotelling's statistic for equal means: chi-squared of bins - 1 degrees if there is none."""
    count, bins = shares.shape
    off = shares[:, 1:].mean(axis=0) - 1 / bins
    return count * off @ np.linalg.solve(np.cov(shares[:, 1:].T), off)


@pytest.mark.parametrize("bins", [4, 8])
@pytest.mark.parametrize("what", [0, 1], ids=["images", "masks"])
def test_slopes_point_in_all_directions_alike(what, bins):
    assert unevenness(directions(many()[what], bins)) < CHI_SQUARED_999[bins - 1]


@pytest.mark.parametrize("bins", [4, 8])
@pytest.mark.parametrize("what", [0, 1], ids=["images", "masks"])
def test_slopes_give_the_direction_away_when_asked_to(what, bins):
    assert unevenness(directions(many(lit=True)[what], bins)) > 5 * CHI_SQUARED_999[bins - 1]


def test_no_side_is_brighter_or_holds_more_polyps():
    axis = (np.arange(SIZE) + 0.5) / SIZE - 0.5
    for fields in many():
        centred = fields - fields.mean(axis=(1, 2), keepdims=True)
        for weights in (axis, axis[:, None]):
            tilt = (centred * weights).mean(axis=(1, 2))
            assert abs(tilt.mean()) < 3.3 * tilt.std() / np.sqrt(len(tilt))


def test_a_plane_wave_field_has_mean_0_variance_1_and_no_direction():
    rng = np.random.default_rng(0)
    fields = np.stack([plane_waves(rng, axes(48), wavelength=0.7) for _ in range(400)])
    assert abs(fields.mean()) < 0.02
    assert abs(fields.var() - 1.0) < 0.05
    assert unevenness(directions(fields, 8)) < CHI_SQUARED_999[7]


def test_a_plane_wave_field_at_another_size_is_the_same_field():
    fine = plane_waves(np.random.default_rng(0), axes(192), wavelength=0.7)
    coarse = plane_waves(np.random.default_rng(0), axes(48), wavelength=0.7)
    averaged = fine.reshape(48, 4, 48, 4).mean(axis=(1, 3))
    assert np.abs(averaged - coarse).max() < 0.05


def test_samples_are_reproducible_and_all_different():
    again = [generate(index, size=16, seed=1) for index in range(10)]
    for index, (image, mask) in enumerate(again):
        same_image, same_mask = generate(index, size=16, seed=1)
        assert np.array_equal(image, same_image)
        assert np.array_equal(mask, same_mask)
    assert len({image.tobytes() for image, _ in again}) == 10
    assert not np.array_equal(again[0][0], generate(0, size=16, seed=2)[0])


@pytest.mark.parametrize("size", [16, 33, 96])
def test_samples_have_the_promised_form(size):
    image, mask = generate(0, size=size)
    assert image.shape == (3, size, size)
    assert mask.shape == (1, size, size)
    assert image.dtype == mask.dtype == np.uint8
    assert set(np.unique(mask)) == {0, 1}


def test_a_sample_at_another_size_shows_the_same_scene():
    for index in range(5):
        (fine, fine_mask), (coarse, coarse_mask) = (generate(index, size=s) for s in (128, 32))
        averaged = fine.reshape(3, 32, 4, 32, 4).mean(axis=(2, 4))
        assert np.abs(averaged - coarse).mean() < 12
        inside = fine_mask.reshape(1, 32, 4, 32, 4).mean(axis=(2, 4)) >= 0.5
        assert (inside != coarse_mask).mean() < 0.02


def test_every_image_shows_a_polyp_and_none_is_all_polyp():
    _, masks = many()
    shares = masks.mean(axis=(1, 2))
    assert shares.min() > 0.01
    assert shares.max() < 0.5
    assert 0.05 < shares.mean() < 0.15


def test_no_threshold_on_a_colour_finds_the_polyps():
    pairs = [generate(index, size=32) for index in range(150)]
    colours = np.concatenate([image.reshape(3, -1) for image, _ in pairs], axis=1).astype(float)
    inside = np.concatenate([mask.ravel() for _, mask in pairs]) > 0
    colours = np.concatenate([colours, colours[:1] / (colours.sum(axis=0) + 1)])
    for channel in colours:
        for threshold in np.quantile(channel, np.linspace(0, 1, 41)):
            for found in (channel > threshold, channel <= threshold):
                dice = 2 * (found & inside).sum() / (found.sum() + inside.sum())
                assert dice < 0.4


def test_a_sample_takes_a_few_milliseconds():
    generate(0, size=96)
    start = time.process_time()
    for index in range(20):
        generate(index, size=96)
    assert (time.process_time() - start) / 20 < 0.025


def test_a_written_set_has_the_layout_of_kvasir(tmp_path):
    write_generated(tmp_path / "set", count=3, size=24, seed=2)
    samples = find("kvasir", tmp_path / "set").cases
    assert [sample.name for sample in samples] == [f"generated-000{i}" for i in range(3)]
    image, mask = generate(1, size=24, seed=2)
    stored = [np.asarray(Image.open(path)) for path in samples[1].files]
    assert np.array_equal(stored[0], np.moveaxis(image, 0, -1))
    assert np.array_equal(stored[1], 255 * mask[0])
