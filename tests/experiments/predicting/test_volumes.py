"""Segmentations on the grids of volumes in any orientation; nothing lost when one fails."""

import csv
import gzip
import re
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from experiments.common.errors import UserError
from experiments.data.generated.tumours import write_generated
from experiments.data.layouts.brats import nested
from experiments.predicting import outputs, predict
from experiments.predicting.predict import predict_volumes
from tests.experiments.tumour_cases import save_brats
from tests.experiments.tumour_runs import finished_run

# nibabel tells few types.
nib: Any = nibabel

CENTRE = np.array([14.0, -9.0, 30.0])
"""Of the head, in millimetres to the right, anterior and superior."""
TUMOUR = CENTRE + np.array([12.0, -8.0, 6.0])
NAMED = ("flair", "t1", "t1ce", "t2")
SHAPE, SPACING = (40, 44, 24), (2.0, 1.8, 3.0)
ANY = Path("any.ckpt")


class Brightest(nn.Module):
    """Marks what stands out in the mean of the modalities, as region after region of less reach."""

    def __init__(self, levels: tuple[float, ...] = (1.5,)) -> None:
        super().__init__()
        self.levels = levels

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([8 * (x.mean(1, keepdim=True) - level) for level in self.levels], 1)


def options(**others: Any) -> dict[str, Any]:
    choices = {"dataset": "generated", "labels": {"whole": [1, 2, 4]}, "spacing": 1.5}
    return choices | {"modalities": list(NAMED), "patch": None} | others


@pytest.fixture
def checkpoint(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes every checkpoint hold a network that marks the brightest voxels, and a record."""

    def hold(record: dict[str, Any], *levels: float) -> None:
        network = Brightest(levels or (1.5,)).eval()
        monkeypatch.setattr(predict, "load_network", lambda _: (network, record))

    hold(options())
    return hold


def affine_of(axes: str, spacing: Any, shape: tuple[int, ...]) -> Any:
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


def head(affine: Any, shape: tuple[int, ...] = SHAPE) -> NDArray[np.float32]:
    """Grey within 32 mm of `CENTRE`, bright and brighter within 10 and 6 mm of `TUMOUR`, else 0."""
    values = 100 + 2 * np.random.default_rng(0).standard_normal(shape)
    tumour = distances(affine, shape, TUMOUR)
    values += 200 * (tumour < 10) + 150 * (tumour < 7)
    return np.where(distances(affine, shape, CENTRE) < 32, values, 0).astype(np.float32)


def save(path: Path, values: Any, affine: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, affine), path)
    return path


def save_case(
    folder: Path,
    names: tuple[str, ...] = NAMED,
    axes: str = "LPS",
    shape: tuple[int, ...] = SHAPE,
    end: str = ".nii.gz",
) -> Path:
    """A case in the layout of BraTS, with anisotropic voxels; its folder."""
    affine = affine_of(axes, SPACING, shape)
    for name in names:
        save(folder / f"{folder.name}_{name}{end}", head(affine, shape), affine)
    return folder


def table_of(out: Path) -> list[dict[str, str]]:
    with (out / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.usefixtures("checkpoint")
@pytest.mark.parametrize("axes", ["LPS", "RAS", "SPL", "ASR", "IRP", "PIL"])
def test_the_mask_lies_over_the_tumour_in_the_files_own_orientation(
    axes: str, tmp_path: Path
) -> None:
    folder = save_case(tmp_path / "p1", axes=axes, shape=(40, 44, 40), end=".nii")
    (written,) = predict_volumes(ANY, [folder], tmp_path / "out", device="cpu")
    assert written == tmp_path / "out" / "p1_mask.nii.gz"
    mask: Any = nib.load(written)
    assert mask.shape == (40, 44, 40) and mask.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(mask.affine, nib.load(folder / "p1_t1.nii").affine)
    found = np.asarray(mask.dataobj) > 0
    distance = distances(mask.affine, mask.shape, TUMOUR)
    assert found[distance < 8].all() and not found[distance > 12].any()
    true = distance < 10
    assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.9
    (row,) = table_of(tmp_path / "out")
    assert (row["case"], row["region"], int(row["voxels"])) == ("p1", "whole", found.sum())
    assert float(row["volume_ml"]) == pytest.approx(found.sum() * 2.0 * 1.8 * 3.0 / 1000, rel=1e-3)


@pytest.mark.usefixtures("checkpoint")
def test_the_header_is_that_of_the_input_but_for_the_values(tmp_path: Path) -> None:
    folder = save_case(tmp_path / "p1")
    file = folder / "p1_flair.nii.gz"
    image: Any = nib.load(file)
    turned = nib.eulerangles.euler2mat(0.05, 0.02, 0.03)
    tilted = image.affine @ nib.affines.from_matvec(turned, [1.0, 2.0, 3.0])
    for modality in NAMED:
        stored = nib.Nifti2Image((image.get_fdata() * 20).astype(np.int16), tilted)
        stored.header.set_xyzt_units("mm", "sec")
        stored.header.set_slope_inter(0.05, 0)
        stored.set_sform(tilted, code="scanner")
        stored.set_qform(tilted, code="aligned")
        nib.save(stored, folder / f"p1_{modality}.nii.gz")
    (written,) = predict_volumes(ANY, [folder], tmp_path / "out", probabilities=True)
    before, after = nib.load(file), nib.load(written)
    probability = nib.load(tmp_path / "out" / "p1_probabilities.nii.gz")
    for made in (after, probability):
        assert type(made) is nib.Nifti2Image
        np.testing.assert_array_equal(made.affine, before.affine)
        assert made.header.get_xyzt_units() == ("mm", "sec")
        assert int(made.header["sform_code"]) == 1 and int(made.header["qform_code"]) == 2
        np.testing.assert_allclose(made.get_qform(), before.get_qform(), atol=1e-6)
    assert set(np.unique(after.get_fdata())) == {0, 1}
    assert probability.get_data_dtype() == np.float32
    np.testing.assert_array_equal(probability.get_fdata() > 0.5, after.get_fdata() > 0)


@pytest.mark.parametrize(
    ("dataset", "name", "labels"),
    [
        ("brats", "BraTS2021_00001", {0, 1, 2, 4}),
        ("brats", "BraTS-GLI-00001-000", {0, 1, 2, 3}),
        ("msd", "BRATS_001", {0, 1, 2, 3}),
        ("generated", "p1", {0, 1, 2, 4}),
        ("old", "p1", {0, 1, 2, 4}),
    ],
)
def test_regions_become_the_labels_of_the_data_set_and_are_measured_in_the_mask(
    dataset: str, name: str, labels: set[int], checkpoint: Any, tmp_path: Path
) -> None:
    regions = nested(1, 2, 3) if dataset == "msd" else nested(2, 1, 4)
    record = options(dataset=dataset, labels={name: list(v) for name, v in regions.items()})
    if dataset == "old":
        # Recorded before checkpoints said what their labels are.
        record = options(dataset="brats", regions="all")
        del record["labels"]
    checkpoint(record, 1.5, 3.0, 4.5)
    folder, out = save_case(tmp_path / name), tmp_path / "out"
    (written,) = predict_volumes(ANY, [folder], out, probabilities=True)
    mask: Any = nib.load(written)
    values = np.asarray(mask.dataobj)
    assert set(np.unique(values).tolist()) == labels
    distance = distances(mask.affine, mask.shape, TUMOUR)
    enhancing = 4 if 4 in labels else 3
    assert (values[distance < 3] == enhancing).all()
    oedema, core = (1, 2) if dataset == "msd" else (2, 1)
    assert distance[values == oedema].mean() > distance[values == core].mean()
    found = {row["region"]: int(row["voxels"]) for row in table_of(out)}
    counts = [(values > 0).sum(), (values == core).sum() + (values == enhancing).sum()]
    assert found == {
        "whole": counts[0],
        "core": counts[1],
        "enhancing": (values == enhancing).sum(),
    }
    assert nib.load(out / f"{name}_probabilities.nii.gz").shape == (*SHAPE, 3)


@pytest.mark.usefixtures("checkpoint")
def test_the_same_volume_gives_the_same_mask_however_its_files_are_given(tmp_path: Path) -> None:
    folder = save_case(tmp_path / "cases" / "p1")
    files = [folder / f"p1_{modality}.nii.gz" for modality in reversed(NAMED)]
    images: list[Any] = [nib.load(folder / f"p1_{modality}.nii.gz") for modality in NAMED]
    together = np.stack([image.get_fdata() for image in images], -1).astype(np.float32)
    single = save(tmp_path / "imagesTs" / "p1.nii.gz", together, images[0].affine)
    for number, image in enumerate(images):
        for case in ("p1", "p2"):
            save(
                tmp_path / "numbered" / f"{case}_{number:04d}.nii", image.get_fdata(), image.affine
            )
    ways = [[folder], [tmp_path / "cases"], files, [single], [single.parent]]
    found = []
    for number, inputs in enumerate([*ways, [tmp_path / "numbered"]]):
        written = predict_volumes(ANY, inputs, tmp_path / str(number), device="cpu")
        assert [one.name for one in written][:1] == ["p1_mask.nii.gz"]
        found += [nib.Nifti1Image.from_bytes(gzip.decompress(one.read_bytes())) for one in written]
    assert len(found) == 7 and all(other.shape == images[0].shape for other in found)
    for other in found:
        np.testing.assert_array_equal(other.get_fdata(), found[0].get_fdata())


@pytest.mark.usefixtures("checkpoint")
def test_every_case_of_a_folder_gets_a_mask_and_a_picture_that_names_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles: list[str] = []
    monkeypatch.setattr(outputs, "overlay", lambda *drawn: titles.append(drawn[-1]) or b"picture")
    for name in ("p2", "p10"):
        save_case(tmp_path / "cases" / name)
    (tmp_path / "cases" / "notes.txt").write_text("no case")
    out = tmp_path / "new" / "masks"
    written = predict_volumes(ANY, [tmp_path / "cases"], out, device="cpu")
    assert [file.name for file in written] == ["p2_mask.nii.gz", "p10_mask.nii.gz"]
    assert len(list(out.iterdir())) == 4 + 2
    assert titles == ["p2, flair", "p10, flair"]
    assert "not for clinical use" in (out / "predictions.txt").read_text()


@pytest.mark.usefixtures("checkpoint")
def test_large_volumes_are_seen_through_tiles(tmp_path: Path) -> None:
    folder = save_case(tmp_path / "p1")
    (whole,) = predict_volumes(ANY, [folder], tmp_path / "a", device="cpu")
    (tiled,) = predict_volumes(ANY, [folder], tmp_path / "b", device="cpu", tile=32)
    assert (nib.load(whole).get_fdata() != nib.load(tiled).get_fdata()).mean() < 1e-4


@pytest.mark.usefixtures("checkpoint")
def test_a_volume_smaller_than_the_stride_is_padded(tmp_path: Path) -> None:
    values = np.full((9, 8, 7), 100, np.float32) + np.random.default_rng(0).random((9, 8, 7))
    values[3:6, 3:6, 3:6] += 500
    for modality in NAMED:
        save(tmp_path / "p1" / f"p1_{modality}.nii", values, np.diag([1.5, 1.5, 1.5, 1]))
    (written,) = predict_volumes(ANY, [tmp_path / "p1"], tmp_path / "out", device="cpu")
    assert np.array_equal(nib.load(written).get_fdata() > 0, values > 400)


FAULTS = {
    "truncated": "truncated",
    "nan": "NaN",
    "no nifti": "not a NIfTI file",
    "other grid": "same grid",
    "absurd spacing": "by its header",
    "coarse": r"voxels of 1\.5 mm: broken would have .* GB",
    "slice": "is 40x44x1: a slice, not a volume",
    "missing": "broken has no t1, which the network was trained on: found flair, t1ce, t2",
}


@pytest.mark.usefixtures("checkpoint")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_case_is_named_and_the_others_are_done(
    fault: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    save_case(tmp_path / "cases" / "fine")
    folder = save_case(tmp_path / "cases" / "broken")
    file = folder / "broken_t1.nii.gz"
    image: Any = nib.load(file)
    values = image.get_fdata()
    if fault == "truncated":
        file.write_bytes(file.read_bytes()[:3000])
    elif fault == "nan":
        values[4, 5, 6] = np.nan
        save(file, values, image.affine)
    elif fault == "no nifti":
        file.write_text("not a volume")
    elif fault == "missing":
        file.unlink()
    elif fault == "other grid":
        save(file, values[:-1], image.affine)
    else:
        scale = {"absurd spacing": 1e4, "coarse": 30, "slice": 1}[fault]
        monkeypatch.setattr("os.sysconf", lambda name: 1 if "SIZE" in name else 10**10)
        shown = values[..., :1] if fault == "slice" else values
        for name in NAMED:
            save(folder / f"broken_{name}.nii.gz", shown, image.affine * [scale, scale, scale, 1])
    with pytest.raises(UserError, match=r"1 of 2 cases could not be segmented \(broken\)"):
        predict_volumes(ANY, [tmp_path / "cases"], tmp_path / "out", device="cpu")
    (told,) = (line for line in capsys.readouterr().err.splitlines() if "error: " in line)
    assert re.search(FAULTS[fault], told)
    assert len(list((tmp_path / "out").iterdir())) == 2 + 2
    errors = {row["case"]: row["error"] for row in table_of(tmp_path / "out") if row["error"]}
    assert errors == {"broken": told.removeprefix("error: ")}


@pytest.mark.usefixtures("checkpoint")
def test_a_broken_4d_file_is_named_and_the_others_are_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    affine = affine_of("LPS", (3.0, 3.0, 3.0), (20, 22, 24))
    values = np.repeat(head(affine, (20, 22, 24))[..., None], 4, axis=-1)
    for name in ("fine", "broken"):
        save(tmp_path / "imagesTs" / f"{name}.nii.gz", values, affine)
    broken = tmp_path / "imagesTs" / "broken.nii.gz"
    few = save(tmp_path / "few.nii.gz", values[..., :3], affine).read_bytes()
    for content in (broken.read_bytes()[:2000], b"not a volume", few):
        broken.write_bytes(content)
        with pytest.raises(UserError, match=r"1 of 2 cases could not be segmented \(broken\)"):
            predict_volumes(ANY, [broken.parent], tmp_path / "out", overwrite=True)
        assert f"{broken} of broken is" in capsys.readouterr().err


@pytest.mark.usefixtures("checkpoint")
def test_inputs_that_make_no_sense_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    folder, out = save_case(tmp_path / "p1"), tmp_path / "out"
    single = save(tmp_path / "single" / "one.nii.gz", np.ones((8, 8, 8)), np.eye(4))
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "task" / "imagesTr").mkdir(parents=True)
    for inputs, target, message in (
        ([tmp_path / "missing", single], out, "missing does not exist"),
        ([tmp_path / "empty"], out, "empty: no NIfTI files"),
        ([tmp_path / "notes.txt"], out, "notes.txt is not a NIfTI file"),
        ([folder, single], out, "name one or more folders, or one or more volumes"),
        ([tmp_path / "task"], out, "imagesTr"),
        ([folder, save_case(tmp_path / "other" / "p1")], out, "two of the inputs are called p1"),
        ([folder], folder, "is the folder of the inputs"),
        ([tmp_path / "single"], tmp_path / "notes.txt", "is a file"),
    ):
        with pytest.raises(UserError, match=message):
            predict_volumes(ANY, inputs, target)
    assert not out.exists()
    with pytest.raises(UserError, match="1 of 1 cases could not be segmented"):
        predict_volumes(ANY, [single], out)
    assert "one.nii.gz of one is 3D, 8x8x8: a 4D file with at" in table_of(out)[0]["error"]


def test_modalities_not_named_in_training_are_found_by_the_names_that_training_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(4):
        save_brats(tmp_path / "data", f"p{number}", ("adc", "dwi", "seg"), seed=number)
    run = finished_run(tmp_path / "run", dataset="brats", root=tmp_path / "data", test_cases=1)
    swapped = save_brats(tmp_path / "new", "p9", ("adc", "zeta"))
    with pytest.raises(UserError, match="1 of 1"):
        predict_volumes(run, [swapped], tmp_path / "out")
    assert "p9 has no dwi, which the network was trained on" in capsys.readouterr().err


def test_a_run_folder_and_its_checkpoint_give_the_same_masks(tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run", "scale_max", regions=["all"])
    write_generated(tmp_path / "cases", count=2, size=24)
    checkpoint = run / "checkpoints" / "best.ckpt"
    first = predict_volumes(run, [tmp_path / "cases"], tmp_path / "a", device="cpu")
    second = predict_volumes(checkpoint, [tmp_path / "cases"], tmp_path / "b", device="cpu")
    assert len(first) == 2
    assert [a.read_bytes() for a in first] == [b.read_bytes() for b in second]
