"""Volumes are read whole and checked, and brought to the networks without moving the tumour."""

import gzip
import os
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from experiments.common.errors import UserError
from experiments.tumour.brain import brain_mask
from experiments.tumour.grids import Grid, as_in_file
from experiments.tumour.labels import REGIONS
from experiments.tumour.sources import Case, find_cases
from experiments.tumour.volumes import Volume, preprocess, read_case, refuse_small
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

WHOLE, ALL = REGIONS["whole"], REGIONS["all"]


def case(tmp_path, kinds=("flair", "t1", "seg")):
    save_brats(tmp_path, "BraTS2021_00001", kinds)
    (found,) = find_cases("brats", tmp_path)
    return found


def places(volume, inside):
    """The mean millimetres of some voxels."""
    return volume.grid.places(np.argwhere(inside)).mean(axis=0)


def test_a_case_is_read_as_it_is_in_its_files(tmp_path):
    volume = read_case(case(tmp_path), ALL)
    assert volume.name == "BraTS2021_00001"
    assert volume.image.shape == (2, SHAPE[2], SHAPE[1], SHAPE[0])
    assert volume.image.dtype == np.float32
    assert volume.mask.shape == (3, SHAPE[2], SHAPE[1], SHAPE[0])
    assert volume.mask.dtype == np.uint8
    assert volume.spacing == (2.0, 2.0, 2.0)
    for channel in range(2):
        stored = as_in_file(volume.image[channel], volume.file)
        assert np.array_equal(stored, brain(seed=[0, channel]))
    assert np.array_equal(as_in_file(volume.mask[0], volume.file), outline() > 0)
    assert volume.file.shape == SHAPE
    assert np.array_equal(volume.file.affine, AFFINE)


@pytest.mark.parametrize("axes", ["RAS", "SPL", "PIR"])
def test_the_same_examination_in_any_orientation_gives_the_same_volume(tmp_path, axes):
    found = case(tmp_path)
    expected = read_case(found, WHOLE)
    change = nib.orientations.ornt_transform(
        nib.io_orientation(AFFINE), nib.orientations.axcodes2ornt(axes)
    )
    for path in (*found.images.values(), found.segmentation):
        image = nib.load(path)
        nib.save(nib.Nifti1Image(image.get_fdata(), AFFINE).as_reoriented(change), path)
    turned = read_case(found, WHOLE)
    assert np.array_equal(turned.image, expected.image)
    assert np.array_equal(turned.mask, expected.mask)
    assert np.allclose(turned.affine, expected.affine)


def test_a_case_without_segmentation_has_no_mask(tmp_path):
    found = case(tmp_path, kinds=("flair", "t1"))
    assert read_case(found, WHOLE).mask is None
    assert preprocess(read_case(found, WHOLE), 3.0).mask is None


def test_the_channels_of_a_4d_file_are_those_of_their_modalities(tmp_path):
    save_msd(tmp_path, 1)
    (found,) = find_cases("msd", tmp_path, ["t2", "flair"])
    volume = read_case(found, ALL)
    for channel, stored in enumerate((3, 0)):
        assert np.array_equal(
            as_in_file(volume.image[channel], volume.file), brain(seed=[1, stored])
        )


def test_a_fourth_axis_of_length_1_is_taken_for_3d(tmp_path):
    found = case(tmp_path)
    expected = read_case(found, WHOLE)
    for path in (found.images["t1"], found.segmentation):
        save_nifti(path, nib.load(path).get_fdata()[..., None])
    assert np.array_equal(read_case(found, WHOLE).image, expected.image)


def test_nifti_2_and_scaled_integers_are_read(tmp_path):
    found = case(tmp_path)
    expected = read_case(found, WHOLE).image
    image = nib.Nifti2Image(brain(seed=[0, 1]).astype(np.int16), AFFINE)
    image.header.set_slope_inter(0.5, 0)
    nib.save(image, found.images["t1"])
    assert np.allclose(read_case(found, WHOLE).image[1], expected[1] / 2, atol=0.5)


@pytest.mark.parametrize("file", ["image", "segmentation"])
def test_a_file_of_another_shape_is_refused_with_both_shapes(tmp_path, file):
    found = case(tmp_path)
    odd = found.images["t1"] if file == "image" else found.segmentation
    save_nifti(odd, np.ones((5, 6, 7), np.uint8))
    with pytest.raises(
        UserError, match=rf"{odd.name} of BraTS2021_00001 is 5x6x7 voxels but .* is 22x24x20"
    ):
        read_case(found, WHOLE)


@pytest.mark.parametrize("file", ["image", "segmentation"])
@pytest.mark.parametrize("change", ["moved", "stretched", "flipped"])
def test_a_file_at_another_place_is_refused(tmp_path, file, change):
    found = case(tmp_path)
    odd = found.images["t1"] if file == "image" else found.segmentation
    affine = AFFINE.copy()
    if change == "moved":
        affine[0, 3] += 1.0
    elif change == "stretched":
        affine[2, 2] = 2.2
    else:
        affine[0] *= -1
    save_nifti(odd, nib.load(odd).get_fdata(), affine)
    with pytest.raises(UserError, match=rf"{odd.name} of BraTS2021_00001 lies up to \d+.\d mm"):
        read_case(found, WHOLE)


def test_rounding_of_an_affine_is_no_other_place(tmp_path):
    found = case(tmp_path)
    affine = AFFINE + np.random.default_rng(0).normal(0, 1e-4, (4, 4)) * (AFFINE != 0)
    save_nifti(found.segmentation, outline(), affine)
    assert read_case(found, WHOLE).mask.any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("file", ["image", "segmentation"])
def test_values_that_are_no_numbers_are_refused_and_counted(tmp_path, value, file):
    found = case(tmp_path)
    odd = found.images["t1"] if file == "image" else found.segmentation
    values = nib.load(odd).get_fdata().astype(np.float32)
    values[3, 4, 5:8] = value
    save_nifti(odd, values)
    with pytest.raises(
        UserError, match=f"{odd.name} of BraTS2021_00001 holds 3 values that are NaN or infinite"
    ):
        read_case(found, WHOLE)


@pytest.mark.parametrize("kept", [0.5, 0.99, -4, -1])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_truncated_file_is_told_by_name(tmp_path, kept, suffix):
    save_brats(tmp_path, "BraTS20_Training_001", ("flair", "t1"), suffix=suffix)
    (found,) = find_cases("brats", tmp_path)
    content = found.images["t1"].read_bytes()
    end = kept if kept < 0 else int(kept * len(content))
    found.images["t1"].write_bytes(content[:end])
    with pytest.raises(
        UserError, match=rf"_t1\{suffix} of BraTS20_Training_001 is truncated or corrupt"
    ):
        read_case(found, WHOLE)


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", gzip.compress(b"hello"), gzip.compress(b"\0" * 5000), b"\0" * 5000],
    ids=["empty", "text", "packed text", "packed zeros", "zeros"],
)
def test_what_is_not_nifti_is_told_by_name(tmp_path, content):
    found = case(tmp_path)
    found.images["t1"].write_bytes(content)
    with pytest.raises(
        UserError, match=r"_t1\.nii\.gz of BraTS2021_00001 is not a NIfTI file that can be read"
    ):
        read_case(found, WHOLE)


def test_a_file_that_is_gone_is_told_by_name(tmp_path):
    found = case(tmp_path)
    found.images["t1"].unlink()
    with pytest.raises(UserError, match=r"_t1\.nii\.gz of BraTS2021_00001 does not exist"):
        read_case(found, WHOLE)


def test_colours_are_refused(tmp_path):
    found = case(tmp_path)
    colours = np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(colours, AFFINE), found.images["t1"])
    with pytest.raises(UserError, match=r"BraTS2021_00001 holds .* real numbers are needed"):
        read_case(found, WHOLE)


def test_a_header_without_a_usable_affine_is_refused(tmp_path):
    found = case(tmp_path)
    image = nib.Nifti1Image(brain(), None)
    image.header.set_sform(np.zeros((4, 4)), code=1)
    nib.save(image, found.images["flair"])
    with pytest.raises(UserError, match="BraTS2021_00001 has no usable orientation and spacing"):
        read_case(found, WHOLE)


def test_an_empty_modality_is_refused(tmp_path):
    found = case(tmp_path)
    save_nifti(found.images["t1"], np.zeros(SHAPE, np.int16))
    with pytest.raises(UserError, match=r"of BraTS2021_00001 is 0 everywhere: its t1 is empty"):
        read_case(found, WHOLE)


def test_an_unknown_label_is_refused_with_the_case(tmp_path):
    found = case(tmp_path)
    save_nifti(found.segmentation, outline(labels=(1, 3)))
    with pytest.raises(UserError, match="BraTS2021_00001 holds the label 3"):
        read_case(found, WHOLE)


def test_a_4d_file_where_3d_is_needed_is_refused(tmp_path):
    found = case(tmp_path)
    save_nifti(found.images["t1"], np.ones((*SHAPE, 2), np.int16))
    with pytest.raises(UserError, match="BraTS2021_00001 is 4D, 22x24x20x2: a 3D volume is needed"):
        read_case(found, WHOLE)
    save_nifti(found.images["t1"], brain(seed=1))
    save_nifti(found.segmentation, np.ones((*SHAPE, 2), np.uint8))
    with pytest.raises(UserError, match="BraTS2021_00001 is 4D: a 3D segmentation is needed"):
        read_case(found, WHOLE)


@pytest.mark.parametrize(
    ("shape", "told"), [(SHAPE, "3D, 22x24x20"), ((*SHAPE, 2), "4D, 22x24x20x2")]
)
def test_a_file_with_too_few_volumes_is_refused(tmp_path, shape, told):
    save_msd(tmp_path, 1)
    save_nifti(tmp_path / "imagesTr" / "BRATS_001.nii.gz", np.ones(shape, np.int16))
    (found,) = find_cases("msd", tmp_path, ["t2"])
    with pytest.raises(
        UserError, match=f"BRATS_001 is {told}: a 4D file with at least 4 volumes is needed"
    ):
        read_case(found, WHOLE)


def test_a_case_of_no_files_is_refused():
    with pytest.raises(UserError, match="p1 has no images"):
        read_case(Case("p1", {}, None), WHOLE)


def test_the_brain_is_cropped_to_and_normalised_and_the_outside_stays_0(tmp_path):
    volume = read_case(case(tmp_path), WHOLE)
    result = preprocess(volume, None)
    inside = brain_mask(volume.image)
    assert result.grid.shape == tuple(np.ptp(np.argwhere(inside), axis=0) + 1)
    cut = inside[np.ix_(*(inside.any(axis=pair) for pair in ((1, 2), (0, 2), (0, 1))))]
    assert not result.image[:, ~cut].any()
    for channel in result.image:
        assert abs(channel[cut].mean()) < 1e-5
        assert abs(channel[cut].std() - 1) < 1e-5
    assert result.mask.sum() == volume.mask.sum()
    assert np.allclose(places(result, result.mask[0]), places(volume, volume.mask[0]))
    assert result.file is volume.file


@pytest.mark.parametrize("spacing", [1.0, 1.5, 3.0])
def test_another_spacing_keeps_place_and_size_of_brain_and_tumour(tmp_path, spacing):
    volume = read_case(case(tmp_path), WHOLE)
    result = preprocess(volume, spacing)
    assert np.allclose(result.spacing, spacing)
    assert set(np.unique(result.mask)) == {0, 1}
    ratio = result.mask.sum() * spacing**3 / (volume.mask.sum() * 2.0**3)
    assert abs(ratio - 1) < 0.25
    moved = places(result, result.mask[0]) - places(volume, volume.mask[0])
    assert np.abs(moved).max() < spacing / 3


def test_brightness_and_its_units_do_not_matter(tmp_path):
    volume = read_case(case(tmp_path), WHOLE)
    brighter = replace(volume, image=np.float32(37) * volume.image)
    assert np.allclose(preprocess(volume, 3.0).image, preprocess(brighter, 3.0).image, atol=1e-4)


def test_a_modality_that_is_the_same_everywhere_in_the_brain_is_refused(tmp_path):
    found = case(tmp_path)
    save_nifti(found.images["t1"], np.full(SHAPE, 7, np.int16))
    with pytest.raises(UserError, match="BraTS2021_00001 is 7 everywhere in the brain"):
        preprocess(read_case(found, WHOLE), 2.0)


def test_a_volume_smaller_than_the_stride_is_refused_with_its_size():
    image = np.ones((1, 40, 12, 40), np.float32)
    volume = Volume("p1", image, None, np.diag([3.0, 3.0, 3.0, 1.0]), Grid((40, 12, 40), np.eye(4)))
    with pytest.raises(UserError, match=r"p1 is 40x12x40 voxels of 3 x 3 x 3 mm .* at least 16"):
        refuse_small(volume, 16)
    refuse_small(volume, 12)


def test_without_a_skull_the_brain_is_what_is_not_0():
    inside = ellipsoid((24, 24, 24), 0.7)
    image = np.where(inside, np.random.default_rng(0).normal(500, 100, (2, 24, 24, 24)), 0)
    image[0, 10:14, 10:14, 10:14] = 0
    assert np.array_equal(brain_mask(image.astype(np.float32)), inside)


@pytest.mark.parametrize("air", [2.0, 60.0])
def test_with_a_skull_the_head_is_told_from_noisy_air_and_is_whole(air):
    rng = np.random.default_rng(0)
    head, skull, cavity = (ellipsoid((32, 32, 32), reach) for reach in (0.85, 0.75, 0.2))
    image = np.where(head, 900.0, air) + rng.normal(0, 1, head.shape)
    image = np.where(skull, 200 + rng.normal(0, 20, head.shape), image)
    image = np.where(cavity, air, image)[None].clip(0)
    found = brain_mask(image.astype(np.float32))
    assert (found != head).mean() < 0.12
    assert not found[~ellipsoid((32, 32, 32), 1.0)].any()
    assert found[cavity].all()


@pytest.mark.parametrize(("variable", "count"), [("GCNN_BRATS", 4), ("GCNN_LGG", 3)])
def test_real_volumes_keep_their_tumours(variable, count):
    if variable not in os.environ:
        pytest.skip(f"set {variable} to the folder of the data set to test on the real one")
    for found in find_cases("brats", os.environ[variable])[:80:20]:
        volume = read_case(found, WHOLE)
        result = preprocess(volume, 3.0)
        assert len(result.image) == count
        assert min(result.grid.shape) >= 32
        before, after = (v.mask.sum() * np.prod(v.spacing) for v in (volume, result))
        assert abs(after / before - 1) < 0.1
        assert np.abs(places(result, result.mask[0]) - places(volume, volume.mask[0])).max() < 1.5
