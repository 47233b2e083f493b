"""Generated tumours are reproducible, of many sizes, and not told by brightness alone."""

from functools import cache

import nibabel as nib
import numpy as np
import pytest

from experiments.data.generated.tumours import (
    MODALITIES,
    RADII,
    REGIONS,
    generate,
    source,
    write_generated,
)
from experiments.data.generated.waves import plane_waves
from experiments.data.layouts import find
from experiments.data.volumes import read_volume

SIZE = 32


@cache
def many():
    """Images and labels of 60 examinations."""
    images, labels = zip(*(generate(index, size=SIZE) for index in range(60)), strict=True)
    return np.stack(images), np.stack(labels)


def axes(size, reach=1.0):
    return (((np.arange(size) + 0.5) * 2 / size - 1) * reach,) * 3


def test_a_plane_wave_field_has_mean_0_and_variance_1():
    rng = np.random.default_rng(0)
    fields = np.stack([plane_waves(rng, axes(24), wavelength=0.7) for _ in range(60)])
    assert abs(fields.mean()) < 0.02
    assert abs(fields.var() - 1.0) < 0.05


def test_a_plane_wave_field_has_no_preferred_direction():
    rng = np.random.default_rng(0)
    fields = np.stack([plane_waves(rng, axes(24), wavelength=0.7) for _ in range(200)])
    along = np.stack([np.diff(fields, axis=axis).var(axis=(1, 2, 3)) for axis in (1, 2, 3)])
    straight = along.mean(axis=1)
    error = along.std(axis=1) / np.sqrt(len(fields))
    assert np.ptp(straight) < 4 * error.max()
    diagonal = fields[:, 1:, 1:] - fields[:, :-1, :-1]
    # Twice the squared distance, and cos is no parabola: up to 8 % less at this wavelength.
    assert 0.9 < diagonal.var() / (2 * straight.mean()) <= 1.0


def test_a_plane_wave_field_at_another_size_or_magnified_is_the_same_field():
    def field(where):
        return plane_waves(np.random.default_rng(0), where, wavelength=0.7)

    averaged = field(axes(96)).reshape(24, 4, 24, 4, 24, 4).mean(axis=(1, 3, 5))
    assert np.abs(averaged - field(axes(24))).max() < 0.15
    inner = axes(24, reach=0.5)
    assert np.allclose(field(inner), field(axes(48))[12:36, 12:36, 12:36], atol=0.2)


def test_examinations_are_reproducible_and_all_different():
    image, labels = generate(3, size=24, seed=1)
    again, labels_again = generate(3, size=24, seed=1)
    assert np.array_equal(image, again)
    assert np.array_equal(labels, labels_again)
    others = [generate(3, size=24, seed=2), *(generate(index, size=24, seed=1) for index in (1, 2))]
    assert not any(np.array_equal(image, other) for other, _ in others)


@pytest.mark.parametrize("size", [24, 33])
def test_examinations_have_the_promised_form(size):
    image, labels = generate(0, size=size)
    assert image.shape == (4, size, size, size)
    assert labels.shape == (size, size, size)
    assert image.dtype == np.int16
    assert labels.dtype == np.uint8
    assert set(np.unique(labels)) <= {0, 1, 2, 4}


def test_outside_the_brain_everything_is_0_and_inside_nothing():
    images, labels = many()
    brain = (images > 0).any(axis=1)
    assert np.array_equal(brain, (images > 0).all(axis=1))
    assert not labels[~brain].any()
    assert not (images < 0).any()
    assert 0.3 < brain.mean() < 0.45
    for edge in (0, -1):
        assert not images[:, :, edge].any()
        assert not images[..., edge].any()


def test_every_examination_has_a_tumour_and_sizes_span_a_wide_range():
    _, labels = many()
    volumes = (labels > 0).sum(axis=(1, 2, 3))
    assert volumes.min() > 0
    radii = np.cbrt(volumes * 3 / (4 * np.pi)) / (SIZE / 2)
    low, high = np.quantile(radii, [0.1, 0.9])
    assert high / low > 2.0
    assert RADII[0] * 0.6 < low < high < RADII[1] * 1.4


def test_most_tumours_have_a_core_and_an_enhancing_rim_and_some_do_not_enhance():
    _, labels = many()
    large = labels[(labels > 0).sum(axis=(1, 2, 3)) > 300]
    assert len(large) > 10
    assert all((tumour == 1).any() for tumour in large)
    assert 0.5 < np.mean([(tumour == 4).any() for tumour in large]) < 1.0


def test_the_same_scene_at_another_size_is_sampled_more_finely():
    for index in range(5):
        _, coarse = generate(index, size=24)
        _, fine = generate(index, size=48)
        whole = (fine > 0).reshape(24, 2, 24, 2, 24, 2).mean(axis=(1, 3, 5)) >= 0.5
        dice = 2 * (whole & (coarse > 0)).sum() / (whole.sum() + (coarse > 0).sum())
        assert dice > 0.85


def test_enhancing_tumour_is_bright_after_contrast_and_oedema_on_flair():
    images, labels = many()
    flair, t1, t1ce, _ = images.transpose(1, 0, 2, 3, 4).astype(float)
    brain = flair > 0
    for image, label, brighter in ((t1ce, 4, True), (flair, 2, True), (t1, 1, False)):
        ratios = [
            one[tumour == label].mean() / np.median(one[inside])
            for one, tumour, inside in zip(image, labels, brain, strict=True)
            if (tumour == label).sum() > 20
        ]
        assert (np.median(ratios) > 1.2) == brighter


def test_no_threshold_on_one_modality_finds_the_tumours():
    images, labels = many()
    inside = (labels > 0)[(images > 0).all(axis=1)]
    for channel in range(len(MODALITIES)):
        image = images[:, channel].astype(float)
        mean = np.array([one[one > 0].mean() for one in image])[:, None, None, None]
        values = (image / mean)[image > 0]
        for threshold in np.quantile(values, np.linspace(0, 1, 41)):
            for found in (values > threshold, values <= threshold):
                assert 2 * (found & inside).sum() / (found.sum() + inside.sum()) < 0.6


def test_left_and_right_are_alike():
    _, labels = many()
    side = np.sign(np.arange(SIZE) - (SIZE - 1) / 2)
    tilt = ((labels > 0) * side).sum(axis=(1, 2, 3)) / (labels > 0).sum(axis=(1, 2, 3))
    assert abs(tilt.mean()) < 3.3 * tilt.std() / np.sqrt(len(tilt))


def test_a_written_set_read_back_as_brats_is_the_same(tmp_path):
    write_generated(tmp_path / "set", count=3, size=24, spacing=2.5, seed=3)
    written = find("brats", tmp_path / "set", MODALITIES).cases
    made = source(3, 24, 2.5, 3, MODALITIES).cases
    assert [case.name for case in written] == [f"generated-000{i}" for i in range(3)]
    for case, other in zip(written, made, strict=True):
        sample, expected = read_volume(case, list(REGIONS)), other.make(list(REGIONS))
        assert np.array_equal(sample.values, expected.values)
        assert np.array_equal(sample.mask, expected.mask)
        assert np.allclose(sample.image.affine, expected.image.affine)
        assert np.allclose(sample.spacing, 2.5)


def test_a_written_set_lies_about_the_origin_as_files_of_brats_do(tmp_path):
    write_generated(tmp_path / "set", count=1, size=24, spacing=2.5)
    image = nib.load(tmp_path / "set" / "generated-0000" / "generated-0000_t1ce.nii.gz")
    assert nib.aff2axcodes(image.affine) == ("L", "P", "S")
    assert np.allclose(image.affine @ [11.5, 11.5, 11.5, 1], [0, 0, 0, 1])
    assert image.header.get_xyzt_units()[0] == "mm"


def test_the_modalities_asked_for_come_in_the_order_asked_for():
    every, some = (
        source(3, 24, 2.0, 0, modalities).cases[0].make(["whole"])
        for modalities in (MODALITIES, ("t2", "flair"))
    )
    assert np.array_equal(some.values, every.values[[3, 0]])
