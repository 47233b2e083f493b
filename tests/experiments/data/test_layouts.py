"""The layouts are found as they are; anything else is refused with the reason."""

import csv
import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from experiments.common.errors import UserError
from experiments.data.cases import Case, labels_of, region_masks
from experiments.data.checks import check_source
from experiments.data.images import read_pair
from experiments.data.layouts import brats as brats_layout
from experiments.data.layouts import find
from experiments.data.transforms import prepare
from experiments.data.volumes import read_volume
from tests.experiments.tumour_cases import brain, outline, save_brats, save_msd, save_nifti

FOUR = ("flair", "t1", "t1ce", "t2")


def real(variable):
    """The folder of a real data set, from the environment."""
    if variable not in os.environ:
        pytest.skip(f"set {variable} to the folder of the data set to test on the real one")
    return Path(os.environ[variable])


def table(root, **changes):
    """Change dataset.json; a value of None removes a key."""
    path = root / "dataset.json"
    content = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({k: v for k, v in (content | changes).items() if v is not None}))


@pytest.fixture
def brats(tmp_path):
    """Three cases in the layout of BraTS 2021."""
    for number in (0, 2, 10):
        save_brats(tmp_path / "brats", f"BraTS2021_{number:05d}", seed=number)
    return tmp_path / "brats"


@pytest.fixture
def msd(tmp_path):
    """Three cases of Task01 of the Decathlon."""
    for number in (1, 2, 10):
        save_msd(tmp_path / "msd", number)
    return tmp_path / "msd"


@pytest.fixture
def nnunet(tmp_path):
    """Three 3D cases of two channels in the raw format of nnU-Net, with overlapping regions."""
    root = tmp_path / "nnunet"
    for number in (1, 2, 10):
        for channel in range(2):
            name = f"case{number}_{channel:04d}.nii.gz"
            save_nifti(root / "imagesTr" / name, brain(seed=[number, channel]))
        save_nifti(root / "labelsTr" / f"case{number}.nii.gz", outline(labels=(1, 2)))
    labels = {"background": 0, "organ": [1, 2], "Tumour": 2}
    table(root, channel_names={"0": "CT", "1": "PET"}, labels=labels, file_ending=".nii.gz")
    return root


def test_kvasir_pairs_every_image_with_its_mask(kvasir):
    for name in (".DS_Store", "Thumbs.db", "._cju0.jpg", "notes.txt"):
        (kvasir / "images" / name).write_text("litter")
    (kvasir / "masks" / "cju3.jpg").rename(kvasir / "masks" / "cju3.PNG")
    for layout in ("kvasir", "folder"):
        source = find(layout, kvasir)
        assert source.dim == 2 and source.chosen(None) == ("mask",)
        assert [case.name for case in source.cases] == [f"cju{i}" for i in range(10)]
        for case in source.cases:
            assert case.images == {"image": kvasir / "images" / f"{case.name}.jpg"}
            assert case.label.stem == case.name and case.group == ""


def test_frames_come_in_natural_order_with_the_sequences_of_the_official_readme(clinicdb):
    assert [(case.name, case.group) for case in find("clinicdb", clinicdb).cases] == [
        *(("1", "1"), ("2", "1"), ("3", "1"), ("10", "1"), ("26", "2"), ("27", "2")),
        *(("52", "3"), ("53", "3"), ("68", "4"), ("69", "4")),
    ]
    rows = "".join(f"{frame},s{frame % 2}\n" for frame in (1, 2, 3, 10, 26, 27, 52, 53, 68, 69))
    (clinicdb / "sequences.csv").write_text("name,sequence\n" + rows, encoding="utf-8-sig")
    groups = {case.name: case.group for case in find("clinicdb", clinicdb).cases}
    assert groups["1"] == groups["69"] == "s1" and groups["2"] == "s0"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("", r"sequences\.csv cannot be read"),
        ("frame,video\n1,1\n", r"sequences\.csv should have the columns name and sequence"),
        ("name,sequence\n1,1\n", r"sequences\.csv names no sequence for .*2\.tif"),
        ("name,sequence\n1,\n", r"sequences\.csv names no sequence for .*/1\.tif"),
    ],
)
def test_a_broken_table_of_sequences_is_refused_by_name(clinicdb, rows, message):
    (clinicdb / "sequences.csv").write_text(rows)
    with pytest.raises(UserError, match=message):
        find("clinicdb", clinicdb)


@pytest.mark.parametrize("name", ["0", "613", "frame1", "²"])
def test_a_frame_that_the_official_table_does_not_know_is_refused(clinicdb, name):
    for folder in ("Original", "Ground Truth"):
        (clinicdb / folder / "1.tif").rename(clinicdb / folder / f"{name}.tif")
    with pytest.raises(UserError, match=rf"{name}\.tif is not a frame of CVC-ClinicDB"):
        find("clinicdb", clinicdb)


def test_images_or_masks_alone_or_twice_are_told_by_name(kvasir):
    (kvasir / "images" / "cju4.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"cju4\.png and cju4\.jpg are the same case: keep one"):
        find("kvasir", kvasir)
    (kvasir / "images" / "cju4.png").unlink()
    for i in (4, 5, 6):
        (kvasir / "images" / f"cju{i}.jpg").unlink()
    with pytest.raises(UserError, match=r"masks/cju4\.jpg has no image: .* \(and 2 more like it\)"):
        find("kvasir", kvasir)
    for i in (3, 4, 5, 6):
        (kvasir / "masks" / f"cju{i}.jpg").unlink()
    with pytest.raises(UserError, match=r"images/cju3\.jpg has no mask: looked for .*masks/cju3"):
        find("kvasir", kvasir)


@pytest.mark.parametrize("layout", ["kvasir", "folder", "clinicdb", "brats", "msd", "nnunet"])
def test_another_or_an_empty_folder_is_refused_and_the_layout_named(tmp_path, layout):
    with pytest.raises(UserError, match=f"nowhere is not a folder: .*{layout} was unpacked"):
        find(layout, tmp_path / "nowhere")
    with pytest.raises(UserError, match=f"is not laid out as {layout}"):
        find(layout, tmp_path)


def test_an_empty_folder_of_images_is_refused(tmp_path, msd, nnunet):
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    with pytest.raises(UserError, match=r"images holds no images: .*\.jpg"):
        find("folder", tmp_path)
    for layout, root in (("msd", msd), ("nnunet", nnunet)):
        for file in (root / "imagesTr").iterdir():
            file.unlink()
        with pytest.raises(UserError, match="has no image: looked for "):
            find(layout, root)


@pytest.mark.parametrize(
    ("name", "separator", "suffix", "kinds", "enhancing"),
    [
        ("BraTS20_Training_001", "_", ".nii", (*FOUR, "seg"), 4),
        ("BraTS2021_00000", "_", ".nii.gz", (*FOUR, "seg"), 4),
        ("BraTS-GLI-00000-000", "-", ".nii.gz", ("t2f", "t1n", "t1c", "t2w", "seg"), 3),
    ],
)
def test_a_case_of_every_year_is_found(tmp_path, name, separator, suffix, kinds, enhancing):
    folder = save_brats(tmp_path, name, kinds, separator, suffix)
    source = find("brats", tmp_path)
    (case,) = source.cases
    assert source.chosen(None) == ("whole",) and source.dim == 3
    assert case.name == name and not case.binary
    assert case.regions["enhancing"] == (enhancing,)
    for modality, kind in zip(FOUR, kinds, strict=False):
        assert case.images[modality] == folder / f"{name}{separator}{kind}{suffix}"
    assert case.label == folder / f"{name}{separator}seg{suffix}"


def test_other_names_and_modalities_come_in_natural_order_and_as_asked_for(tmp_path):
    for number in (10, 9, 1):
        save_brats(tmp_path, f"p-{number}", ("adc", "T2F", "seg"), separator="-", seed=number)
    source = find("brats", tmp_path)
    assert [case.name for case in source.cases] == ["p-1", "p-9", "p-10"]
    assert source.channels == ("adc", "flair") and source.cases[0].binary
    assert list(find("brats", tmp_path, ["FLAIR", "adc"]).cases[2].images) == ["flair", "adc"]


@pytest.mark.parametrize("asked", [[], ["t1", "T1n"]])
def test_modalities_that_are_none_or_one_twice_are_refused(brats, asked):
    with pytest.raises(UserError, match="name at least one, each once"):
        find("brats", brats, asked)


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
    assert len(find("brats", brats).cases) == len(find("msd", msd).cases) == 3


def test_the_misnamed_segmentation_of_brats_2020_is_found(tmp_path):
    folder = save_brats(tmp_path, "BraTS20_Training_355", suffix=".nii")
    odd = folder / "W39_1998.09.19_Segm.nii"
    (folder / "BraTS20_Training_355_seg.nii").rename(odd)
    assert find("brats", tmp_path).cases[0].label == odd


def test_files_of_brats_that_are_missing_double_or_misplaced_are_told(brats, tmp_path):
    folder = brats / "BraTS2021_00002"
    flair, t2 = (folder / f"{folder.name}_{kind}.nii.gz" for kind in ("flair", "t2"))
    t2.unlink()
    for asked in (None, ["t1", "t2"]):
        with pytest.raises(UserError, match=f"{folder.name} has no t2: .* flair, t1, t1ce"):
            find("brats", brats, asked)
    again = folder / f"{folder.name}_t2f.nii.gz"
    again.write_bytes(flair.read_bytes())
    with pytest.raises(UserError, match=f"{folder.name}_.* are both the flair of this case"):
        find("brats", brats)
    again.rename(folder / "BraTS2021_00003_t2.nii.gz")
    with pytest.raises(UserError, match=r"BraTS2021_00003_t2\.nii\.gz should be named after its"):
        find("brats", brats)
    save_brats(tmp_path / "bare", "p1", ("seg",))
    with pytest.raises(UserError, match="p1 holds a segmentation but no image"):
        find("brats", tmp_path / "bare")


def test_the_decathlon_has_its_modalities_in_one_file_and_its_tumours_nested(msd):
    source = find("msd", msd)
    assert [case.name for case in source.cases] == ["BRATS_001", "BRATS_002", "BRATS_010"]
    assert source.chosen(None) == ("whole",) and source.chosen("all")[1:] == ("core", "enhancing")
    for case in source.cases:
        assert case.files == [msd / f / f"{case.name}.nii.gz" for f in ("imagesTr", "labelsTr")]
        assert case.volumes == {"flair": 0, "t1": 1, "t1ce": 2, "t2": 3}
        assert case.regions == {"whole": (2, 1, 3), "core": (2, 3), "enhancing": (3,)}
    (case, *_) = find("msd", msd, ["t2", "flair"]).cases
    assert case.volumes == {"t2": 3, "flair": 0}


def test_the_regions_of_another_task_are_its_labels_and_nothing_is_a_tumour(msd):
    table(msd, labels={"0": "background", "1": "Anterior", "2": "Posterior", "3": "rest"})
    source = find("msd", msd)
    assert source.chosen(None) == source.regions == ("anterior", "posterior", "rest")
    assert source.chosen(["posterior"]) == ("posterior",)
    assert read_volume(source.cases[0], source.regions).mask.sum((1, 2, 3)).tolist() == [72] * 3
    for asked in ("whole", ["rest", "rest"], ["rest", "all"]):
        with pytest.raises(UserError, match="choose all, or from anterior, posterior, rest"):
            source.chosen(asked)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modality": None}, r"dataset\.json should say modality"),
        ({"modality": ["FLAIR"]}, r"dataset\.json should say modality"),
        ({"modality": {"1": "a"}}, r'dataset\.json should number the channels from "0"'),
        ({"labels": 4}, r"dataset\.json should say labels"),
        ({"labels": {"a": "liver"}}, r"dataset\.json should name labels by numbers"),
        ({"labels": {"0": "background"}}, r"dataset\.json names no labels but the background"),
        ({"labels": {"300": "x"}}, r"dataset\.json has labels 300 of 'x'"),
    ],
)
def test_a_broken_table_of_the_decathlon_is_refused_by_name(msd, changes, message):
    table(msd, **changes)
    with pytest.raises(UserError, match=message):
        find("msd", msd)


def test_files_of_the_decathlon_that_do_not_belong_together_are_told(msd):
    with pytest.raises(UserError, match=r"--modalities adc: choose from flair, t1, t1ce, t2 of "):
        find("msd", msd, ["flair", "adc"])
    save_nifti(msd / "imagesTr" / "BRATS_002.nii", brain(seed=99))
    with pytest.raises(UserError, match=r"BRATS_002.* and .* are the same case: keep one"):
        find("msd", msd)
    for file in (msd / "imagesTr").glob("BRATS_002*"):
        file.unlink()
    with pytest.raises(UserError, match=r"labelsTr/BRATS_002\.nii\.gz has no image"):
        find("msd", msd)


def test_the_format_of_nnunet_is_read_with_its_channels_and_regions(nnunet):
    source = find("nnunet", nnunet)
    assert source.channels == ("ct", "pet") and source.regions == ("organ", "tumour")
    assert [case.name for case in source.cases] == ["case1", "case2", "case10"]
    check_source(source)
    sample = read_volume(source.cases[0], source.regions)
    assert len(sample.image) == 2 and sample.mask.sum((1, 2, 3)).tolist() == [144, 72]
    (case, *_) = find("nnunet", nnunet, ["pet"]).cases
    assert [path.name for path in case.images.values()] == ["case1_0001.nii.gz"]


@pytest.mark.parametrize("colour", [True, False])
def test_the_format_of_nnunet_is_read_for_images_too(tmp_path, colour):
    for folder in ("imagesTr", "labelsTr"):
        (tmp_path / folder).mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "imagesTr" / "a_0000.png")
    if not colour:
        for channel in range(3):
            image = Image.fromarray(pixels[..., channel])
            image.save(tmp_path / "imagesTr" / f"a_{channel:04d}.png")
    labels = np.repeat(np.arange(3, dtype=np.uint8), 24).reshape(8, 9)
    Image.fromarray(labels).save(tmp_path / "labelsTr" / "a.png")
    names = {"background": 0, "cell": 1, "nucleus": 2}
    table(tmp_path, channel_names=dict(zip("012", "RGB", strict=True)), labels=names)
    table(tmp_path, file_ending=".png")
    source = find("nnunet", tmp_path)
    sample = read_pair(source.cases[0], source.regions)
    assert source.dim == 2 and torch.equal(sample.image, torch.from_numpy(pixels).movedim(-1, 0))
    assert sample.mask.sum((1, 2)).tolist() == [24, 24]


def test_what_is_not_right_for_nnunet_is_told(nnunet):
    for changes, message in (
        ({"labels": {"background": 0, "ignore": 3}}, "'ignore': voxels to ignore are not supp"),
        ({"file_ending": ".mha"}, r"says file_ending \.mha: supported are \.nii\.gz"),
        ({"channel_names": {"0": "a", "1": "b", "2": "c"}}, "case1 has no channel c: looked for"),
    ):
        before = (nnunet / "dataset.json").read_text()
        table(nnunet, **changes)
        with pytest.raises(UserError, match=message):
            find("nnunet", nnunet)
        (nnunet / "dataset.json").write_text(before)
    (nnunet / "imagesTr" / "case1_0001.nii.gz").rename(nnunet / "imagesTr" / "case1.nii.gz")
    with pytest.raises(UserError, match=r"case1\.nii\.gz should be called <case>_<channel>"):
        find("nnunet", nnunet)


@pytest.mark.parametrize("enhancing", [3, 4])
def test_regions_and_labels_are_inverses_of_each_other(enhancing):
    regions = brats_layout.nested(2, 1, enhancing)
    labels = torch.tensor([0, 2, 1, enhancing]).reshape(1, 1, -1)
    masks = region_masks(labels, Case("p1", regions=regions), list(regions))
    assert masks[:, 0, 0].tolist() == [[0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1]]
    assert torch.equal(labels_of(masks, regions), labels.byte())
    assert torch.equal(labels_of(masks[:1], {"whole": regions["whole"]}), (labels > 0).byte())
    apart = {"left": (1,), "right": (2,)}
    halves = region_masks(torch.tensor([[[0, 1, 2]]]), Case("p1", regions=apart), list(apart))
    assert labels_of(halves, apart).ravel().tolist() == [0, 1, 2]


def test_regions_that_are_not_nested_are_cut_to_the_larger_ones():
    masks = torch.tensor([[1, 1, 1, 0], [0, 1, 0, 1], [1, 1, 0, 1]])[:, None, None]
    assert labels_of(masks, brats_layout.nested(2, 1, 4)).ravel().tolist() == [2, 4, 2, 0]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ((0, 1, 3), "of p1 holds the label 3: known are 0, 1, 2, 4"),
        ((0, 7, 9, 300), "of p1 holds the label 7 and 2 more"),
        ((0.0, 1.5), "of p1 holds the label 1.5"),
        ((0, -1), "of p1 holds the label -1"),
        ((0, 1), "of p1 holds only 0 and 1: .* regions can only be whole"),
    ],
)
def test_labels_without_meaning_are_refused_with_the_case(labels, message):
    case = Case("p1", regions=brats_layout.nested(2, 1, 4), binary=True)
    with pytest.raises(UserError, match=message):
        region_masks(torch.tensor(labels), case, list(case.regions))


def test_an_empty_or_a_binary_outline_is_the_whole():
    case = Case("p1", regions=brats_layout.nested(2, 1, 4), binary=True)
    assert region_masks(torch.tensor([0, 1]), case, ["whole"]).tolist() == [[0, 1]]
    assert not region_masks(torch.tensor([0, 0]), case, list(case.regions)).any()


@pytest.mark.data
@pytest.mark.parametrize(
    ("layout", "variable", "count"),
    [("kvasir", "GCNN_KVASIR", 1000), ("clinicdb", "GCNN_CLINICDB", 612)],
)
def test_the_real_images_are_complete_and_readable(layout, variable, count):
    source = find(layout, real(variable))
    assert len(source.cases) == count
    for case in source.cases[::250]:
        assert 0 < read_pair(case, ["mask"]).mask.float().mean() < 1


@pytest.mark.data
def test_the_table_in_the_code_agrees_with_that_of_the_real_clinicdb(tmp_path):
    root = real("GCNN_CLINICDB")
    for folder in ("Original", "Ground Truth"):
        (tmp_path / folder).symlink_to(root / folder)
    ours = {case.name: case.group for case in find("clinicdb", tmp_path).cases}
    with (root / "sequences.csv").open(newline="") as file:
        assert ours == {row["name"]: row["sequence"] for row in csv.DictReader(file)}
    assert len(Counter(ours.values())) == 29


@pytest.mark.data
@pytest.mark.parametrize(
    ("layout", "variable", "count", "channels"),
    [
        ("brats", "GCNN_BRATS", 8, FOUR),
        ("brats", "GCNN_LGG", 90, ("flair", "t1", "t1ce")),
        ("msd", "GCNN_HIPPOCAMPUS", 200, ("mri",)),
    ],
)
def test_the_real_volumes_are_found_and_agree(layout, variable, count, channels):
    source = find(layout, real(variable))
    assert len(check_source(source)) == count and source.channels == channels


@pytest.mark.data
def test_every_voxel_of_the_real_hippocampi_counts():
    source = find("msd", real("GCNN_HIPPOCAMPUS"))
    assert source.chosen(None) == source.regions == ("anterior", "posterior")
    for case in source.cases[::50]:
        sample = read_volume(case, source.regions)
        prepared = prepare(sample)
        mean, deviation = sample.values.mean(), sample.values.std()
        assert torch.allclose(prepared.values, (sample.values - mean) / deviation, atol=1e-3)
        assert torch.equal(prepared.mask, sample.mask) and sample.mask.any((1, 2, 3)).all()
        assert not sample.mask.all(0).any()
