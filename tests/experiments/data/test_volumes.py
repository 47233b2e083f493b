"""Volumes are read whole and checked, prepared without moving the tumour, and brought back."""

import gzip
import os
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data.meta_tensor import MetaTensor

from experiments.common.errors import UserError
from experiments.data.cases import Case, Sample
from experiments.data.foreground import foreground
from experiments.data.layouts import find
from experiments.data.transforms import prepare, restore
from experiments.data.volumes import as_in_file, read_header, read_volume
from tests.experiments.tumour_cases import (
    AFFINE,
    SHAPE,
    brain,
    ellipsoid,
    outline,
    save_brats,
    save_msd,
    save_nifti,
)

WHOLE, ALL = ["whole"], ["whole", "core", "enhancing"]
NAME = "BraTS2021_00001"


def case(tmp_path, kinds=("flair", "t1", "seg"), suffix=".nii.gz"):
    save_brats(tmp_path, NAME, kinds, suffix=suffix)
    return find("brats", tmp_path).cases[0]


def places(sample, inside):
    """The mean millimetres of some voxels."""
    index = np.argwhere(np.asarray(inside)).mean(axis=0)
    return sample.image.affine.numpy()[:3] @ [*index, 1]


def test_a_case_is_read_as_it_is_in_its_files(tmp_path):
    sample = read_volume(case(tmp_path), ALL)
    assert sample.name == NAME and sample.spacing == (2.0, 2.0, 2.0)
    assert sample.image.shape == (2, *SHAPE[::-1]) and sample.image.dtype == torch.float32
    assert sample.mask.shape == (3, *SHAPE[::-1]) and sample.mask.dtype == torch.uint8
    for channel in range(2):
        stored = as_in_file(sample.values[channel], sample)
        assert np.array_equal(stored, brain(seed=[0, channel]))
    assert np.array_equal(as_in_file(sample.mask[0], sample), outline() > 0)


@pytest.mark.parametrize("axes", ["RAS", "SPL", "PIR"])
def test_the_same_examination_in_any_orientation_gives_the_same_volume(tmp_path, axes):
    found = case(tmp_path)
    expected = read_volume(found, WHOLE)
    change = nib.orientations.ornt_transform(
        nib.io_orientation(AFFINE), nib.orientations.axcodes2ornt(axes)
    )
    for path in found.files:
        image = nib.load(path)
        nib.save(nib.Nifti1Image(image.get_fdata(), AFFINE).as_reoriented(change), path)
    turned = read_volume(found, WHOLE)
    assert torch.equal(turned.values, expected.values)
    assert torch.equal(turned.mask, expected.mask)
    assert torch.allclose(turned.image.affine, expected.image.affine)
    stored = nib.load(found.label).get_fdata() > 0
    assert np.array_equal(as_in_file(turned.mask[0], turned), stored)


def test_the_channels_of_a_4d_file_are_those_of_their_modalities(tmp_path):
    save_msd(tmp_path, 1)
    sample = read_volume(find("msd", tmp_path, ["t2", "flair"]).cases[0], ALL)
    for channel, stored in enumerate((3, 0)):
        found = as_in_file(sample.values[channel], sample)
        assert np.array_equal(found, brain(seed=[1, stored]))


def test_nifti_2_scaled_integers_and_a_fourth_axis_of_length_1_are_read(tmp_path):
    found = case(tmp_path)
    expected = read_volume(found, WHOLE).values
    image = nib.Nifti2Image(brain(seed=[0, 1]).astype(np.int16)[..., None], AFFINE)
    image.header.set_slope_inter(0.5, 0)
    nib.save(image, found.images["t1"])
    assert torch.allclose(read_volume(found, WHOLE).values[1], expected[1] / 2, atol=0.5)


@pytest.mark.parametrize("file", ["t1", "seg"])
@pytest.mark.parametrize("change", ["shape", "moved", "stretched", "flipped"])
def test_a_file_on_another_grid_is_refused(tmp_path, file, change):
    found = case(tmp_path)
    odd = found.label if file == "seg" else found.images["t1"]
    affine, values = AFFINE.copy(), nib.load(odd).get_fdata()
    if change == "shape":
        values = np.ones((5, 6, 7))
    elif change == "moved":
        affine[0, 3] += 1.0
    elif change == "stretched":
        affine[2, 2] = 2.2
    else:
        affine[0] *= -1
    save_nifti(odd, values, affine)
    told = "is 5x6x7 voxels but .* is 22x24x20" if change == "shape" else r"lies up to \d+.\d mm"
    with pytest.raises(UserError, match=rf"{odd.name} of {NAME} {told}"):
        read_volume(found, WHOLE)


def test_rounding_of_an_affine_is_no_other_place(tmp_path):
    found = case(tmp_path)
    affine = AFFINE + np.random.default_rng(0).normal(0, 1e-4, (4, 4)) * (AFFINE != 0)
    save_nifti(found.label, outline(), affine)
    assert read_volume(found, WHOLE).mask.any()


@pytest.mark.parametrize("value", [np.nan, -np.inf])
@pytest.mark.parametrize("file", ["t1", "seg"])
def test_values_that_are_no_numbers_are_refused_and_counted(tmp_path, value, file):
    found = case(tmp_path)
    odd = found.label if file == "seg" else found.images["t1"]
    values = nib.load(odd).get_fdata().astype(np.float32)
    values[3, 4, 5:8] = value
    save_nifti(odd, values)
    with pytest.raises(UserError, match=f"{odd.name} of {NAME} holds 3 values that are NaN or inf"):
        read_volume(found, WHOLE)


@pytest.mark.parametrize("kept", [0.5, 0.99, -4, -1])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_truncated_file_is_told_by_name_from_its_header(tmp_path, kept, suffix):
    found = case(tmp_path, suffix=suffix)
    path = found.images["t1"]
    content = path.read_bytes()
    path.write_bytes(content[: kept if kept < 0 else int(kept * len(content))])
    with pytest.raises(UserError, match=rf"_t1\{suffix} of {NAME} is truncated"):
        read_header(path, NAME)


def test_a_file_compressed_in_parts_is_whole(tmp_path):
    path = case(tmp_path).images["t1"]
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content[:5000]) + gzip.compress(content[5000:]))
    assert read_header(path, NAME).shape == SHAPE


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", gzip.compress(b"hello"), gzip.compress(b"\0" * 5000), b"\0" * 5000],
    ids=["empty", "text", "packed text", "packed zeros", "zeros"],
)
def test_what_is_not_nifti_or_gone_is_told_by_name(tmp_path, content):
    path = case(tmp_path).images["t1"]
    path.write_bytes(content)
    told = f"{NAME} is (not a NIfTI file that can be read|truncated or corrupt)"
    with pytest.raises(UserError, match=rf"_t1\.nii\.gz of {told}"):
        read_header(path, NAME)
    path.unlink()
    with pytest.raises(UserError, match=rf"_t1\.nii\.gz of {NAME} does not exist"):
        read_header(path, NAME)


def colours(tmp_path):
    values = np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(values, AFFINE), tmp_path)


def zero_affine(path):
    image = nib.Nifti1Image(brain(), None)
    image.header.set_sform(np.zeros((4, 4)), code=1)
    nib.save(image, path)


def absurd(size):
    def write(path):
        save_nifti(path, brain(), AFFINE * [size, size, size, 1])

    return write


def two_places(path, code=1):
    image = nib.Nifti1Image(brain(), AFFINE)
    image.set_sform(AFFINE, code=1)
    moved = AFFINE.copy()
    moved[0, 3] += 5
    image.set_qform(moved, code=code)
    nib.save(image, path)


def two_spacings(path):
    image = nib.Nifti1Image(brain(), AFFINE)
    image.header["pixdim"][1:4] = [1, 1, 3]
    nib.save(image, path)


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (colours, "holds .* real numbers are needed"),
        (zero_affine, "has no usable orientation and spacing"),
        (absurd(1e-4), "has voxels of 0.0002 x .* should be between 0.005 and 100 mm"),
        (absurd(500.0), "has voxels of 1000 x"),
        (two_places, "says two things: its sform and qform are up to 5.0 mm apart"),
        (two_spacings, r"says two things: voxels of 2 x 2 x 2 mm by its sform, of 1 x 1 x 3 mm"),
    ],
)
def test_a_header_that_cannot_be_trusted_is_refused_with_the_file(tmp_path, write, told):
    found = case(tmp_path)
    write(found.images["flair"])
    with pytest.raises(UserError, match=rf"_flair\.nii\.gz of {NAME} {told}"):
        read_volume(found, WHOLE)


def test_a_header_without_orientation_is_said(tmp_path):
    path = case(tmp_path).images["flair"]
    image = nib.Nifti1Image(brain(), None)
    image.set_sform(None, code=0)
    image.set_qform(None, code=0)
    nib.save(image, path)
    assert "does not say how it is oriented" in read_header(path, NAME).note
    two_places(path, code=2)
    assert "5.0 mm apart; the sform is used" in read_header(path, NAME).note
    assert not read_header(case(tmp_path / "other").images["t1"], NAME).note


def test_contents_that_cannot_be_used_are_refused_with_the_case(tmp_path):
    found = case(tmp_path)
    t1 = found.images["t1"]
    for path, values, told in (
        (t1, np.zeros(SHAPE, np.int16), "is 0 everywhere: its t1 is empty"),
        (t1, np.ones((*SHAPE, 2), np.int16), "is 4D, 22x24x20x2: a 3D volume is needed"),
        (t1, np.ones((*SHAPE, 1, 1, 2), np.int16), "is 6D: a 3D or 4D file is needed"),
        (found.label, outline(labels=(1, 3)), "holds the label 3: known are 0, 1, 2, 4"),
    ):
        before = path.read_bytes()
        save_nifti(path, values)
        with pytest.raises(UserError, match=f"of {NAME} {told}"):
            read_volume(found, WHOLE)
        path.write_bytes(before)
    short = replace(found, volumes={"t1": 3})
    with pytest.raises(
        UserError, match=f"of {NAME} is 3D, 22x24x20: a 4D file with at least 4 volumes"
    ):
        read_volume(short, WHOLE)
    save_nifti(t1, np.full(SHAPE, 7, np.int16))
    with pytest.raises(UserError, match=f"{NAME} is 7 everywhere in the patient"):
        prepare(read_volume(found, WHOLE), spacing=2.0)
    with pytest.raises(UserError, match="p1 has no images"):
        read_volume(Case("p1"), WHOLE)


def test_the_brain_is_cropped_to_and_normalised_and_the_outside_stays_0(tmp_path):
    sample = read_volume(case(tmp_path), WHOLE)
    result = prepare(sample)
    inside = foreground(sample.values.numpy())
    assert result.image.shape[1:] == tuple(np.ptp(np.argwhere(inside), axis=0) + 1)
    cut = torch.from_numpy(
        inside[np.ix_(*(inside.any(axis=pair) for pair in ((1, 2), (0, 2), (0, 1))))]
    )
    assert not result.values[:, ~cut].any()
    for channel in result.values:
        assert abs(channel[cut].mean()) < 1e-5 and abs(channel[cut].std() - 1) < 1e-3
    assert result.mask.sum() == sample.mask.sum()
    assert np.allclose(places(result, result.mask[0]), places(sample, sample.mask[0]))


@pytest.mark.parametrize("spacing", [1.0, 1.5, 3.0])
def test_another_spacing_keeps_place_and_size_and_the_way_back_too(tmp_path, spacing):
    sample = read_volume(case(tmp_path), WHOLE)
    result = prepare(sample, spacing=spacing)
    assert np.allclose(result.spacing, spacing)
    assert set(result.mask.unique().tolist()) == {0, 1}
    ratio = result.mask.sum() * spacing**3 / (sample.mask.sum() * 2.0**3)
    assert abs(ratio - 1) < 0.25
    moved = places(result, result.mask[0]) - places(sample, sample.mask[0])
    assert np.abs(moved).max() < 0.4 * spacing
    back = restore(result, result.mask.float())
    assert back.shape == sample.mask.shape
    found, true = back > 0.5, sample.mask > 0
    assert 2 * (found & true).sum() / (found.sum() + true.sum()) > (0.8 if spacing > 2 else 0.95)
    # What was cut away comes back as 0, also beside what reaches the edge of the crop.
    full = restore(result, torch.ones(1, *result.image.shape[1:]))
    assert full.max() == 1 and full.sum() == np.prod(prepare(sample).image.shape[1:])


def wave(spacing, wavelength, shape=(48, 48, 48)):
    """A sample of a wave in millimetres along the last axis, and no air."""
    x = (np.arange(shape[2]) * spacing)[None, None] * np.ones(shape)
    values = np.sin(2 * np.pi * x / wavelength) + 3
    affine = torch.diag(torch.tensor([spacing] * 3 + [1.0], dtype=torch.float64))
    return Sample("wave", MetaTensor(torch.tensor(values[None]).float(), affine=affine), None)


def test_texture_finer_than_the_new_voxels_is_averaged_and_coarser_texture_is_kept():
    fine, coarse = (prepare(wave(1.0, length), spacing=3.0) for length in (2.3, 24.0))
    assert fine.values.std() < 0.12
    assert coarse.values.std() > 0.85
    # Taking every third voxel, as interpolation alone does, would alias it in full.
    assert prepare(wave(1.0, 2.3)).values[..., ::3].std() > 0.9


def test_brightness_and_its_units_do_not_matter(tmp_path):
    sample = read_volume(case(tmp_path), WHOLE)
    brighter = replace(sample, image=37 * sample.image)
    one, other = (prepare(s, spacing=3.0).values for s in (sample, brighter))
    assert torch.allclose(one, other, atol=1e-4)


def test_without_a_skull_the_patient_is_what_is_not_0():
    inside = ellipsoid((24, 24, 24), 0.7)
    image = np.where(inside, np.random.default_rng(0).normal(500, 100, (2, 24, 24, 24)), 0)
    image[0, 10:14, 10:14, 10:14] = 0
    assert np.array_equal(foreground(image.astype(np.float32)), inside)


@pytest.mark.parametrize("air", [2.0, 60.0])
def test_with_a_skull_the_head_is_told_from_noisy_air_and_is_whole(air):
    rng = np.random.default_rng(0)
    head, skull, cavity = (ellipsoid((32, 32, 32), reach) for reach in (0.85, 0.75, 0.2))
    image = np.where(head, 900.0, air) + rng.normal(0, 1, head.shape)
    image = np.where(skull, 200 + rng.normal(0, 20, head.shape), image)
    image = np.where(cavity, air, image)[None].clip(0)
    found = foreground(image.astype(np.float32))
    assert (found != head).mean() < 0.12
    assert not found[~ellipsoid((32, 32, 32), 1.0)].any()
    assert found[cavity].all()


def test_a_crop_that_is_tight_already_is_kept_whole():
    noise = np.random.default_rng(0).normal(0, 30, (24, 30, 20))
    values = 100 + 400 * ellipsoid(noise.shape, 0.6) + noise
    values[:, :, :8] += 500
    values[:, 3, 4] = 0
    assert foreground(values[None].astype(np.float32)).all()


@pytest.mark.data
@pytest.mark.parametrize(("variable", "count"), [("GCNN_BRATS", 4), ("GCNN_LGG", 3)])
def test_real_volumes_keep_their_tumours(variable, count):
    if variable not in os.environ:
        pytest.skip(f"set {variable} to the folder of the data set to test on the real one")
    for found in find("brats", Path(os.environ[variable])).cases[:80:20]:
        sample = read_volume(found, WHOLE)
        result = prepare(sample, spacing=3.0)
        assert len(result.image) == count and min(result.image.shape[1:]) >= 32
        before, after = (s.mask.sum() * np.prod(s.spacing) for s in (sample, result))
        assert abs(after / before - 1) < 0.1
        moved = places(result, result.mask[0]) - places(sample, sample.mask[0])
        assert np.abs(moved).max() < 1.5
