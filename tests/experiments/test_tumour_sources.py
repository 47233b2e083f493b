"""The official layouts are found as they are; anything else is refused with the reason."""

import json
import os
from pathlib import Path

import pytest

from experiments.common.errors import UserError
from experiments.tumour.sources import find_cases
from tests.experiments.tumour_cases import brain, save_brats, save_msd, save_nifti


def real(variable):
    """The folder of a real data set, from the environment."""
    if variable not in os.environ:
        pytest.skip(f"set {variable} to the folder of the data set to test on the real one")
    return Path(os.environ[variable])


@pytest.fixture
def brats(tmp_path):
    """Three cases in the layout of BraTS 2021."""
    for number in (0, 2, 10):
        save_brats(tmp_path / "brats", f"BraTS2021_{number:05d}", seed=number)
    return tmp_path / "brats"


@pytest.fixture
def msd(tmp_path):
    """Three cases in the layout of the Decathlon."""
    for number in (1, 2, 10):
        save_msd(tmp_path / "msd", number)
    return tmp_path / "msd"


@pytest.mark.parametrize(
    ("name", "separator", "suffix", "kinds", "convention"),
    [
        ("BraTS20_Training_001", "_", ".nii", ("flair", "t1", "t1ce", "t2", "seg"), "brats"),
        ("BraTS20_Training_001", "_", ".nii.gz", ("flair", "t1", "t1ce", "t2", "seg"), "brats"),
        ("BraTS2021_00000", "_", ".nii.gz", ("flair", "t1", "t1ce", "t2", "seg"), "brats"),
        ("BraTS-GLI-00000-000", "-", ".nii.gz", ("t2f", "t1n", "t1c", "t2w", "seg"), "brats2023"),
    ],
)
def test_a_case_of_every_year_is_found(tmp_path, name, separator, suffix, kinds, convention):
    folder = save_brats(tmp_path, name, kinds, separator, suffix)
    (case,) = find_cases("brats", tmp_path)
    assert case.name == name
    assert case.convention == convention
    assert list(case.images) == ["flair", "t1", "t1ce", "t2"]
    for modality, kind in zip(("flair", "t1", "t1ce", "t2"), kinds, strict=False):
        assert case.images[modality] == folder / f"{name}{separator}{kind}{suffix}"
    assert case.segmentation == folder / f"{name}{separator}seg{suffix}"
    assert case.channels == {}


def test_cases_come_in_natural_order(tmp_path):
    for number in (10, 9, 1):
        save_brats(tmp_path, f"patient{number}", ("flair", "seg"), seed=number)
    assert [case.name for case in find_cases("brats", tmp_path)] == [
        *("patient1", "patient9", "patient10")
    ]


def test_other_names_and_modalities_in_that_layout_are_taken_as_they_are(tmp_path):
    save_brats(tmp_path, "p-01", ("adc", "T2F", "seg"), separator="-")
    (case,) = find_cases("brats", tmp_path)
    assert list(case.images) == ["adc", "flair"]
    assert case.convention == "unofficial"


@pytest.mark.parametrize("asked", [["t2", "flair"], ["T2w", "t2f"]])
def test_the_modalities_asked_for_come_in_the_order_asked_for(brats, asked):
    for case in find_cases("brats", brats, asked):
        assert list(case.images) == ["t2", "flair"]
        assert case.images["t2"].name == f"{case.name}_t2.nii.gz"


@pytest.mark.parametrize("asked", [[], ["t1", "T1n"]])
def test_modalities_that_are_none_or_one_twice_are_refused(brats, asked):
    with pytest.raises(UserError, match="name at least one, each once"):
        find_cases("brats", brats, asked)


def test_litter_and_side_files_are_ignored(brats, msd):
    case = brats / "BraTS2021_00002"
    for path in (
        *(brats / "name_mapping.csv", brats / "._BraTS2021_00000", case / ".DS_Store"),
        *(case / f"._{case.name}_flair.nii.gz", case / f"{case.name}_notes.txt"),
        *(msd / "imagesTr" / "._BRATS_001.nii.gz", msd / "labelsTr" / "._BRATS_001.nii.gz"),
    ):
        path.write_text("litter")
    (brats / ".cache").mkdir()
    (brats / "papers").mkdir()
    assert len(find_cases("brats", brats)) == 3
    assert len(find_cases("msd", msd)) == 3


def test_the_misnamed_segmentation_of_brats_2020_is_found(tmp_path):
    folder = save_brats(tmp_path, "BraTS20_Training_355", suffix=".nii")
    odd = folder / "W39_1998.09.19_Segm.nii"
    (folder / "BraTS20_Training_355_seg.nii").rename(odd)
    assert find_cases("brats", tmp_path)[0].segmentation == odd


def test_a_case_may_lack_a_segmentation(brats):
    (brats / "BraTS2021_00002" / "BraTS2021_00002_seg.nii.gz").unlink()
    assert find_cases("brats", brats)[1].segmentation is None


@pytest.mark.parametrize("asked", [None, ["t1", "t2"]])
def test_a_missing_modality_is_told_with_its_case(brats, asked):
    (brats / "BraTS2021_00002" / "BraTS2021_00002_t2.nii.gz").unlink()
    with pytest.raises(
        UserError, match=r"BraTS2021_00002 has no t2: .* found the modalities flair, t1, t1ce"
    ):
        find_cases("brats", brats, asked)
    assert len(find_cases("brats", brats, ["t1", "flair"])) == 3


@pytest.mark.parametrize("second", ["flair.nii", "t2f.nii.gz"])
def test_a_modality_that_is_there_twice_is_refused(brats, second):
    save_nifti(brats / "BraTS2021_00002" / f"BraTS2021_00002_{second}", brain(seed=99))
    with pytest.raises(UserError, match=r"BraTS2021_00002_.* are both the flair of this case"):
        find_cases("brats", brats)


def test_a_file_of_another_case_is_refused(brats):
    folder = brats / "BraTS2021_00002"
    (folder / "BraTS2021_00002_t1.nii.gz").rename(folder / "BraTS2021_00003_t1.nii.gz")
    with pytest.raises(UserError, match=r"BraTS2021_00003_t1\.nii\.gz should be named after its"):
        find_cases("brats", brats)


def test_a_copy_of_a_case_under_another_name_is_refused(brats, msd):
    for file in (brats / "BraTS2021_00002").iterdir():
        copy = brats / "BraTS2021_00007" / file.name.replace("00002", "00007")
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(file.read_bytes())
    with pytest.raises(UserError, match="BraTS2021_00007 is a copy of BraTS2021_00002"):
        find_cases("brats", brats)
    image = msd / "imagesTr" / "BRATS_002.nii.gz"
    image.with_name("BRATS_005.nii.gz").write_bytes(image.read_bytes())
    with pytest.raises(UserError, match="BRATS_005 is a copy of BRATS_002"):
        find_cases("msd", msd)


def test_a_case_with_only_a_segmentation_is_refused(tmp_path):
    save_brats(tmp_path, "p1", ("seg",))
    with pytest.raises(UserError, match="p1 holds a segmentation but no image"):
        find_cases("brats", tmp_path)


def test_an_unknown_layout_is_refused(brats):
    with pytest.raises(UserError, match="unknown layout 'isles': choose one of brats, msd"):
        find_cases("isles", brats)


@pytest.mark.parametrize("layout", ["brats", "msd"])
def test_a_missing_folder_is_told_by_name(tmp_path, layout):
    with pytest.raises(UserError, match=f"nowhere is not a folder: .*{layout} was unpacked"):
        find_cases(layout, tmp_path / "nowhere")


def test_another_layout_is_refused_and_the_expected_one_named(brats, msd):
    with pytest.raises(UserError, match=r"not laid out as msd: looked for imagesTr/ and labelsTr/"):
        find_cases("msd", brats)
    with pytest.raises(UserError, match=r"imagesTr/BRATS_001\.nii\.gz should be named after its f"):
        find_cases("brats", msd)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="is not laid out as brats: looked for <case>/<case>_flair"):
        find_cases("brats", tmp_path)
    (tmp_path / "imagesTr").mkdir()
    with pytest.raises(UserError, match="imagesTr holds no volumes"):
        find_cases("msd", tmp_path)


def test_the_decathlon_has_its_modalities_in_one_file(msd):
    cases = find_cases("msd", msd)
    assert [case.name for case in cases] == ["BRATS_001", "BRATS_002", "BRATS_010"]
    for case in cases:
        image = msd / "imagesTr" / f"{case.name}.nii.gz"
        assert case.images == dict.fromkeys(("flair", "t1", "t1ce", "t2"), image)
        assert case.channels == {"flair": 0, "t1": 1, "t1ce": 2, "t2": 3}
        assert case.segmentation == msd / "labelsTr" / f"{case.name}.nii.gz"
        assert case.convention == "msd"


def test_the_table_of_the_decathlon_names_the_modalities_and_their_order(msd):
    named = {"0": "T2w", "1": "t1gd", "2": "FLAIR", "3": "T1w"}
    (msd / "dataset.json").write_text(json.dumps({"modality": named}))
    (case, *_) = find_cases("msd", msd, ["flair", "t1ce"])
    assert case.channels == {"flair": 2, "t1ce": 1}


@pytest.mark.parametrize(
    "table", ["[]", "{}", '{"modality": ["FLAIR"]}', '{"modality": {"1": "a"}}', '{"modality": 4}']
)
def test_a_broken_table_of_the_decathlon_is_refused_by_name(msd, table):
    (msd / "dataset.json").write_text(table)
    with pytest.raises(UserError, match=r"dataset\.json should name the modalities"):
        find_cases("msd", msd)


def test_a_modality_that_the_decathlon_has_not_is_refused(msd):
    with pytest.raises(UserError, match="has no modality adc: choose from flair, t1, t1ce, t2"):
        find_cases("msd", msd, ["flair", "adc"])


def test_labels_of_the_decathlon_without_image_are_refused(msd):
    (msd / "imagesTr" / "BRATS_002.nii.gz").unlink()
    with pytest.raises(UserError, match=r"labelsTr/BRATS_002\.nii\.gz has no image"):
        find_cases("msd", msd)


def test_a_case_of_the_decathlon_that_is_there_twice_is_refused(msd):
    save_nifti(msd / "imagesTr" / "BRATS_002.nii", brain(seed=99))
    with pytest.raises(UserError, match=r"BRATS_002.* and .* are the same case: keep one"):
        find_cases("msd", msd)


def test_the_images_of_the_decathlon_alone_are_cases_without_segmentation(msd):
    for file in (msd / "labelsTr").iterdir():
        file.unlink()
    (msd / "labelsTr").rmdir()
    assert [case.segmentation for case in find_cases("msd", msd)] == [None] * 3


def test_the_real_brats_is_found():
    cases = find_cases("brats", real("GCNN_BRATS"))
    assert len(cases) >= 8
    for case in cases:
        assert list(case.images) == ["flair", "t1", "t1ce", "t2"]
        assert case.convention == "brats"


def test_the_real_lower_grade_gliomas_are_found():
    cases = find_cases("brats", real("GCNN_LGG"), ["t1", "t1ce", "flair"])
    assert len(cases) == 90
    assert all(case.convention == "unofficial" for case in cases)
    assert all(case.segmentation is not None for case in cases)
