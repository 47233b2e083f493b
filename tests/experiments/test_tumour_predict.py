"""Segmentations on the grids of the volumes in any orientation; nothing lost when one fails."""

import gzip
import re
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from experiments.common.errors import UserError
from experiments.data.generated.tumours import write_generated
from experiments.data.layouts.brats import nested
from experiments.tumour import predict
from experiments.tumour.predict import predict_cases, predict_masks
from tests.experiments.polyp_runs import finished_run as finished_polyp_run
from tests.experiments.tumour_cases import save_brats
from tests.experiments.tumour_runs import finished_run

# nibabel tells few types.
nib: Any = nibabel

CENTRE = np.array([14.0, -9.0, 30.0])
"""Of the head, in millimetres to the right, anterior and superior."""
TUMOUR = CENTRE + np.array([12.0, -8.0, 6.0])
NAMED = ("flair", "t1", "t1ce", "t2")


class Brightest(nn.Module):
    """Marks what stands out in the mean of the modalities, as region after region of less reach."""

    def __init__(self, regions: int = 1) -> None:
        super().__init__()
        self.levels = [1.5, 3.0, 4.5][:regions]

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([8 * (x.mean(1, keepdim=True) - level) for level in self.levels], 1)


def options(**others: Any) -> dict[str, Any]:
    return {
        "modalities": list(NAMED),
        "dataset": "generated",
        "labels": {"whole": [1, 2, 4]},
        "spacing": 1.5,
        "patch": None,
    } | others


@pytest.fixture
def brightest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every checkpoint holds the network that marks the brightest voxels of four modalities."""
    monkeypatch.setattr(predict, "load_network", lambda _: (Brightest().eval(), options()))


def affine_of(axes: str, spacing: tuple[float, float, float], shape: tuple[int, int, int]) -> Any:
    """An affine whose array axes run in the directions `axes`, with `CENTRE` in the middle."""
    affine = np.eye(4)
    for column, (letter, mm) in enumerate(zip(axes, spacing, strict=True)):
        row = next(i for i, pair in enumerate(("RL", "AP", "SI")) if letter in pair)
        affine[:3, column] = 0
        affine[row, column] = mm if letter in "RAS" else -mm
    affine[:3, 3] = CENTRE - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def distances(affine: Any, shape: tuple[int, ...], place: Any) -> NDArray[np.float64]:
    """Of the voxels from a place, in millimetres."""
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    places = nib.affines.apply_affine(affine, index)
    found: NDArray[np.float64] = np.linalg.norm(places - place, axis=-1)
    return found


def head(affine: Any, shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """Grey within 32 mm of `CENTRE`, bright and brighter within 10 and 6 mm of `TUMOUR`, else 0."""
    rng = np.random.default_rng(0)
    values = 100 + 2 * rng.standard_normal(shape)
    tumour = distances(affine, shape, TUMOUR)
    values += 200 * (tumour < 10) + 150 * (tumour < 7)
    return np.where(distances(affine, shape, CENTRE) < 32, values, 0).astype(np.float32)


def save(path: Path, values: Any, affine: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, affine), path)
    return path


def save_case(folder: Path, axes: str = "LPS", modalities: tuple[str, ...] = NAMED) -> Path:
    """A case in the layout of BraTS, with anisotropic voxels; its folder."""
    shape, spacing = (40, 44, 24), (2.0, 1.8, 3.0)
    affine = affine_of(axes, spacing, shape)
    for modality in modalities:
        save(folder / f"{folder.name}_{modality}.nii.gz", head(affine, shape), affine)
    return folder


@pytest.mark.usefixtures("brightest")
@pytest.mark.parametrize("axes", ["LPS", "RAS", "SPL", "ASR", "IRP", "PIL"])
def test_the_mask_lies_over_the_tumour_in_the_files_own_orientation(
    axes: str, tmp_path: Path
) -> None:
    shape, spacing = (36, 42, 40), (2.0, 1.7, 1.8)
    affine = affine_of(axes, spacing, shape)
    for modality in NAMED:
        save(tmp_path / "p1" / f"p1_{modality}.nii.gz", head(affine, shape), affine)
    (written,) = predict_cases("any.ckpt", [tmp_path / "p1"], tmp_path / "out", device="cpu")
    assert written == tmp_path / "out" / "p1_mask.nii.gz"
    mask: Any = nib.load(written)
    assert mask.shape == shape and mask.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(mask.affine, nib.load(tmp_path / "p1" / "p1_t1.nii.gz").affine)
    found = np.asarray(mask.dataobj) > 0
    distance = distances(mask.affine, shape, TUMOUR)
    assert found[distance < 8].all() and not found[distance > 12].any()
    true = distance < 10
    assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.9


@pytest.mark.usefixtures("brightest")
def test_the_header_is_that_of_the_input_but_for_the_values(tmp_path: Path) -> None:
    folder = save_case(tmp_path / "p1")
    file = folder / "p1_flair.nii.gz"
    image: Any = nib.load(file)
    tilted = image.affine @ nib.affines.from_matvec(
        nib.eulerangles.euler2mat(0.05, 0.02, 0.03), [1.0, 2.0, 3.0]
    )
    for modality in NAMED:
        stored = nib.Nifti2Image((image.get_fdata() * 20).astype(np.int16), tilted)
        stored.header.set_xyzt_units("mm", "sec")
        stored.header.set_slope_inter(0.05, 0)
        stored.set_sform(tilted, code="scanner")
        stored.set_qform(tilted, code="aligned")
        nib.save(stored, folder / f"p1_{modality}.nii.gz")
    (written,) = predict_cases("any.ckpt", [folder], tmp_path / "out", device="cpu")
    before: Any = nib.load(file)
    after: Any = nib.load(written)
    assert type(after) is nib.Nifti2Image
    np.testing.assert_array_equal(after.affine, before.affine)
    assert after.header.get_xyzt_units() == ("mm", "sec")
    assert int(after.header["sform_code"]) == 1 and int(after.header["qform_code"]) == 2
    np.testing.assert_allclose(after.get_qform(), before.get_qform(), atol=1e-6)
    assert set(np.unique(after.get_fdata())) == {0, 1}


@pytest.mark.parametrize(
    ("dataset", "name", "labels"),
    [
        ("brats", "BraTS2021_00001", {0, 1, 2, 4}),
        ("brats", "BraTS-GLI-00001-000", {0, 1, 2, 3}),
        ("msd", "BRATS_001", {0, 1, 2, 3}),
        ("generated", "p1", {0, 1, 2, 4}),
    ],
)
def test_regions_become_the_labels_of_the_data_set(
    dataset: str, name: str, labels: set[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    regions = nested(1, 2, 3) if dataset == "msd" else nested(2, 1, 4)
    record = options(dataset=dataset, labels={name: list(v) for name, v in regions.items()})
    monkeypatch.setattr(predict, "load_network", lambda _: (Brightest(3).eval(), record))
    folder = save_case(tmp_path / name)
    (written,) = predict_cases("any.ckpt", [folder], tmp_path / "out", device="cpu")
    mask: Any = nib.load(written)
    values = np.asarray(mask.dataobj)
    assert set(np.unique(values).tolist()) == labels
    distance = distances(mask.affine, mask.shape, TUMOUR)
    assert (values[distance < 3] == (4 if 4 in labels else 3)).all()
    oedema, core = (1, 2) if dataset == "msd" else (2, 1)
    assert distance[values == oedema].mean() > distance[values == core].mean()


@pytest.mark.usefixtures("brightest")
def test_the_same_volume_gives_the_same_mask_as_a_folder_as_files_and_as_one_4d_file(
    tmp_path: Path,
) -> None:
    folder = save_case(tmp_path / "cases" / "p1")
    files = [folder / f"p1_{modality}.nii.gz" for modality in reversed(NAMED)]
    images: list[Any] = [nib.load(folder / f"p1_{modality}.nii.gz") for modality in NAMED]
    together = np.stack([image.get_fdata() for image in images], -1).astype(np.float32)
    single = save(tmp_path / "imagesTs" / "p1.nii.gz", together, images[0].affine)
    ways = [[folder], [tmp_path / "cases"], files, [single], [single.parent]]
    found = []
    for number, inputs in enumerate(ways):
        (written,) = predict_cases("any.ckpt", inputs, tmp_path / str(number), device="cpu")
        assert written.name == "p1_mask.nii.gz"
        found.append(written.read_bytes())
    first: Any = nib.Nifti1Image.from_bytes(gzip.decompress(found[0]))
    for content in found:
        other: Any = nib.Nifti1Image.from_bytes(gzip.decompress(content))
        assert other.shape == images[0].shape
        np.testing.assert_array_equal(other.get_fdata(), first.get_fdata())


@pytest.mark.usefixtures("brightest")
def test_every_case_of_a_folder_gets_a_mask_and_a_picture(tmp_path: Path) -> None:
    for name in ("p2", "p10"):
        save_case(tmp_path / "cases" / name)
    (tmp_path / "cases" / "notes.txt").write_text("no case")
    out = tmp_path / "new" / "masks"
    written = predict_cases("any.ckpt", [tmp_path / "cases"], out, device="cpu")
    assert [file.name for file in written] == ["p2_mask.nii.gz", "p10_mask.nii.gz"]
    assert len(list(out.iterdir())) == 4
    with Image.open(out / "p2_overlay.png") as picture:
        assert picture.format == "PNG"


@pytest.mark.usefixtures("brightest")
def test_large_volumes_are_seen_through_tiles(tmp_path: Path) -> None:
    folder = save_case(tmp_path / "p1")
    (whole,) = predict_cases("any.ckpt", [folder], tmp_path / "a", device="cpu")
    (tiled,) = predict_cases("any.ckpt", [folder], tmp_path / "b", device="cpu", tile=32)
    one: Any = nib.load(whole)
    other: Any = nib.load(tiled)
    assert (one.get_fdata() != other.get_fdata()).mean() < 1e-4


@pytest.mark.usefixtures("brightest")
def test_a_volume_smaller_than_the_stride_is_padded(tmp_path: Path) -> None:
    shape = (9, 8, 7)
    affine = affine_of("RAS", (1.5, 1.5, 1.5), shape)
    values = np.full(shape, 100, np.float32) + np.random.default_rng(0).random(shape)
    values[3:6, 3:6, 3:6] += 500
    for modality in NAMED:
        save(tmp_path / "p1" / f"p1_{modality}.nii", values.astype(np.float32), affine)
    (written,) = predict_cases("any.ckpt", [tmp_path / "p1"], tmp_path / "out", device="cpu")
    mask: Any = nib.load(written)
    assert np.array_equal(mask.get_fdata() > 0, values > 400)


@pytest.mark.usefixtures("brightest")
@pytest.mark.parametrize(
    "fault", ["truncated", "nan", "no nifti", "other grid", "absurd spacing", "memory"]
)
def test_a_broken_case_is_named_and_the_others_are_done(
    fault: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    save_case(tmp_path / "cases" / "fine")
    file = save_case(tmp_path / "cases" / "broken") / "broken_t1.nii.gz"
    image: Any = nib.load(file)
    values = image.get_fdata()
    if fault == "truncated":
        file.write_bytes(file.read_bytes()[:3000])
    elif fault == "nan":
        values[4, 5, 6] = np.nan
        save(file, values, image.affine)
    elif fault == "no nifti":
        file.write_text("not a volume")
    elif fault == "absurd spacing":
        save(file, values, image.affine * [1e4, 1e4, 1e4, 1])
    elif fault == "memory":

        def too_large(network: nn.Module, volume: Any, *others: Any) -> Tensor:
            if volume.name == "broken":
                raise MemoryError
            return predict_masks(network, volume, *others)

        monkeypatch.setattr(predict, "predict_masks", too_large)
    else:
        save(file, values[:-1], image.affine)
    with pytest.raises(UserError, match=r"1 of 2 cases could not be segmented \(broken\)"):
        predict_cases("any.ckpt", [tmp_path / "cases"], tmp_path / "out", device="cpu")
    told = "broken does not fit into memory" if fault == "memory" else str(file)
    assert told in capsys.readouterr().err
    assert sorted(f.name for f in (tmp_path / "out").iterdir()) == [
        "fine_mask.nii.gz",
        "fine_overlay.png",
    ]


@pytest.mark.usefixtures("brightest")
def test_a_broken_4d_file_is_named_and_the_others_are_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shape = (20, 22, 24)
    affine = affine_of("LPS", (3.0, 3.0, 3.0), shape)
    values = np.repeat(head(affine, shape)[..., None], 4, axis=-1)
    for name in ("fine", "broken"):
        save(tmp_path / "imagesTs" / f"{name}.nii.gz", values, affine)
    broken = tmp_path / "imagesTs" / "broken.nii.gz"
    for content in (broken.read_bytes()[:2000], b"not a volume"):
        broken.write_bytes(content)
        with pytest.raises(UserError, match=r"1 of 2 cases could not be segmented \(broken\)"):
            predict_cases("any.ckpt", [broken.parent], tmp_path / "out", True, "cpu")
        assert f"{broken} of broken is" in capsys.readouterr().err


@pytest.mark.usefixtures("brightest")
def test_earlier_masks_are_only_replaced_when_asked(tmp_path: Path) -> None:
    folder, out = save_case(tmp_path / "p1"), tmp_path / "out"
    out.mkdir()
    earlier = out / "p1_mask.nii.gz"
    earlier.write_text("earlier")
    with pytest.raises(UserError, match=r"p1_mask\.nii\.gz is there already.*--overwrite true"):
        predict_cases("any.ckpt", [folder], out)
    assert earlier.read_text() == "earlier" and len(list(out.iterdir())) == 1
    predict_cases("any.ckpt", [folder], out, overwrite=True)
    assert nib.load(earlier).shape == (40, 44, 24)


@pytest.mark.usefixtures("brightest")
def test_inputs_that_make_no_sense_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    folder, out = save_case(tmp_path / "p1"), tmp_path / "out"
    bare = save_case(tmp_path / "bare", modalities=("flair", "t1", "t2"))
    shape = (8, 8, 8)
    single = save(tmp_path / "single" / "one.nii.gz", np.ones(shape), np.eye(4))
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "task" / "imagesTr").mkdir(parents=True)
    for inputs, message in (
        ([bare], "bare has no t1ce, which the network was trained on: found flair, t1, t2"),
        ([single], "one.nii.gz is a single volume, but the network was trained on flair, t1, "),
        ([tmp_path / "missing"], "missing does not exist"),
        ([tmp_path / "empty"], "empty: no NIfTI files"),
        ([tmp_path / "notes.txt"], "notes.txt is not a NIfTI file"),
        ([folder, single], "name one or more folders, or one or more NIfTI files"),
        ([tmp_path / "task"], "imagesTr"),
        ([folder, save_case(tmp_path / "other" / "p1")], "two cases are called p1"),
    ):
        with pytest.raises(UserError, match=message):
            predict_cases("any.ckpt", inputs, out)
    with pytest.raises(UserError, match="is the folder of p1"):
        predict_cases("any.ckpt", [folder], folder)
    with pytest.raises(UserError, match="is a file"):
        predict_cases("any.ckpt", [folder], tmp_path / "notes.txt")
    assert not out.exists()


@pytest.mark.usefixtures("brightest")
def test_a_4d_file_with_too_few_volumes_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = np.ones((8, 8, 8, 3), np.float32)
    single = save(tmp_path / "case.nii.gz", values, np.eye(4))
    with pytest.raises(UserError, match="1 of 1 cases could not be segmented"):
        predict_cases("any.ckpt", [single], tmp_path / "out")
    assert re.search(r"case\.nii\.gz .* 8x8x8x3: .* at least 4 volumes", capsys.readouterr().err)


def test_modalities_not_named_in_training_are_found_by_the_names_that_training_found(
    tmp_path: Path,
) -> None:
    for number in range(4):
        save_brats(tmp_path / "data", f"p{number}", ("adc", "dwi", "seg"), seed=number)
    run = finished_run(tmp_path / "run", dataset="brats", root=tmp_path / "data", test_cases=1)
    swapped = save_brats(tmp_path / "new", "p9", ("adc", "zeta"))
    with pytest.raises(UserError, match="p9 has no dwi, which the network was trained on"):
        predict_cases(run, [swapped], tmp_path / "out")


def test_a_run_folder_and_its_checkpoint_give_the_same_masks(tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run", "scale_max", regions=["all"])
    write_generated(tmp_path / "cases", count=2, size=24)
    checkpoint = run / "checkpoints" / "best.ckpt"
    first = predict_cases(run, [tmp_path / "cases"], tmp_path / "a", device="cpu")
    second = predict_cases(checkpoint, [tmp_path / "cases"], tmp_path / "b", device="cpu")
    assert len(first) == 2
    assert [a.read_bytes() for a in first] == [b.read_bytes() for b in second]


def test_a_network_of_another_study_is_refused(tmp_path: Path) -> None:
    run = finished_polyp_run(tmp_path / "run")
    with pytest.raises(UserError, match="holds no network of the tumour study"):
        predict_cases(run, [tmp_path], tmp_path / "out")
