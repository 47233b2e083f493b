"""The official layouts are found as they are; anything else is refused with the reason."""

import csv
import os
from collections import Counter
from pathlib import Path

import pytest

from experiments.common.errors import UserError
from experiments.polyp.images import read_pair
from experiments.polyp.sources import find_samples


def real(variable):
    """The folder of a real data set, from the environment."""
    if variable not in os.environ:
        pytest.skip(f"set {variable} to the folder of the data set to test on the real one")
    return Path(os.environ[variable])


def test_kvasir_pairs_every_image_with_its_mask(kvasir):
    samples = find_samples("kvasir", kvasir)
    assert [sample.name for sample in samples] == [f"cju{i}" for i in range(10)]
    for sample in samples:
        assert sample.image == kvasir / "images" / f"{sample.name}.jpg"
        assert sample.mask == kvasir / "masks" / f"{sample.name}.jpg"
        assert sample.sequence == sample.name


def test_a_mask_may_have_another_suffix_than_its_image(kvasir):
    (kvasir / "masks" / "cju3.jpg").rename(kvasir / "masks" / "cju3.PNG")
    assert find_samples("kvasir", kvasir)[3].mask.name == "cju3.PNG"


def test_frames_come_in_natural_order_with_the_sequences_of_the_official_readme(clinicdb):
    samples = find_samples("clinicdb", clinicdb)
    assert [(sample.name, sample.sequence) for sample in samples] == [
        *(("1", "1"), ("2", "1"), ("3", "1"), ("10", "1"), ("26", "2"), ("27", "2")),
        *(("52", "3"), ("53", "3"), ("68", "4"), ("69", "4")),
    ]


def test_a_table_of_sequences_beside_the_folders_overrides_the_official_one(clinicdb):
    rows = "".join(f"{frame},s{frame % 2}\n" for frame in (1, 2, 3, 10, 26, 27, 52, 53, 68, 69))
    (clinicdb / "sequences.csv").write_text("name,sequence\n" + rows, encoding="utf-8-sig")
    sequences = {sample.name: sample.sequence for sample in find_samples("clinicdb", clinicdb)}
    assert sequences["1"] == sequences["69"] == "s1"
    assert sequences["2"] == "s0"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", r"sequences\.csv should have the columns name and sequence"),
        ("frame,video\n1,1\n", r"sequences\.csv should have the columns name and sequence"),
        ("name,sequence\n1,1\n", r"sequences\.csv has no row for .*2\.tif"),
        ("name,sequence\n1,\n", r"sequences\.csv names no sequence for '1'"),
    ],
)
def test_a_broken_table_of_sequences_is_refused_by_name(clinicdb, table, message):
    (clinicdb / "sequences.csv").write_text(table)
    with pytest.raises(UserError, match=message):
        find_samples("clinicdb", clinicdb)


@pytest.mark.parametrize("name", ["0", "613", "frame1", "²"])
def test_a_frame_that_the_official_table_does_not_know_is_refused(clinicdb, name):
    for folder in ("Original", "Ground Truth"):
        (clinicdb / folder / "1.tif").rename(clinicdb / folder / f"{name}.tif")
    with pytest.raises(UserError, match=rf"{name}\.tif is not a frame of CVC-ClinicDB"):
        find_samples("clinicdb", clinicdb)


def test_litter_of_file_managers_and_side_files_are_ignored(kvasir):
    for name in (".DS_Store", "Thumbs.db", "._cju0.jpg", "notes.txt"):
        (kvasir / "images" / name).write_text("litter")
    (kvasir / "kavsir_bboxes.json").write_text("{}")
    assert len(find_samples("kvasir", kvasir)) == 10


def test_an_unknown_data_set_is_refused(kvasir):
    with pytest.raises(UserError, match="'etis': choose one of kvasir, clinicdb"):
        find_samples("etis", kvasir)


def test_a_missing_folder_is_told_by_name(tmp_path):
    with pytest.raises(UserError, match="nowhere is not a folder"):
        find_samples("kvasir", tmp_path / "nowhere")


def test_another_layout_is_refused_and_the_expected_one_named(clinicdb):
    with pytest.raises(UserError, match=r"not laid out as kvasir: looked for images/ and masks/"):
        find_samples("kvasir", clinicdb)


def test_an_empty_folder_is_refused(tmp_path):
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    with pytest.raises(UserError, match=r"images holds no images: .*\.jpg"):
        find_samples("kvasir", tmp_path)


def test_an_image_without_a_mask_is_told_by_name(kvasir):
    (kvasir / "masks" / "cju4.jpg").unlink()
    with pytest.raises(
        UserError, match=r"images/cju4\.jpg has no mask: looked for .*masks/cju4\.\*"
    ):
        find_samples("kvasir", kvasir)


def test_masks_without_an_image_are_told_by_name_and_counted(kvasir):
    for i in (4, 5, 6):
        (kvasir / "images" / f"cju{i}.jpg").unlink()
    with pytest.raises(UserError, match=r"masks/cju4\.jpg has no image: .* \(and 2 more like it\)"):
        find_samples("kvasir", kvasir)


def test_two_files_of_one_name_are_refused(kvasir):
    (kvasir / "images" / "cju4.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"cju4\.png and cju4\.jpg are the same sample"):
        find_samples("kvasir", kvasir)


def test_the_real_kvasir_is_complete_and_readable():
    samples = find_samples("kvasir", real("GCNN_KVASIR"))
    assert len(samples) == 1000
    for sample in samples[::250]:
        image, mask = read_pair(sample.image, sample.mask, size=96)
        assert image.shape == (3, 96, 96)
        assert 0 < mask.mean() < 1


def test_the_real_clinicdb_is_complete_and_has_29_sequences():
    root = real("GCNN_CLINICDB")
    samples = find_samples("clinicdb", root)
    assert len(samples) == 612
    assert len(Counter(sample.sequence for sample in samples)) == 29
    for sample in samples[::200]:
        image, mask = read_pair(sample.image, sample.mask, size=96)
        assert image.shape == (3, 96, 96)
        assert 0 < mask.mean() < 1


def test_the_table_in_the_code_agrees_with_that_of_the_real_clinicdb(tmp_path):
    root = real("GCNN_CLINICDB")
    for folder in ("Original", "Ground Truth"):
        (tmp_path / folder).symlink_to(root / folder)
    ours = {sample.name: sample.sequence for sample in find_samples("clinicdb", tmp_path)}
    with (root / "sequences.csv").open(newline="") as file:
        assert ours == {row["name"]: row["sequence"] for row in csv.DictReader(file)}
