"""DICOM series as volumes: in the right order and place, or refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from experiments.common.errors import UserError
from experiments.predicting import predict
from experiments.predicting.dicom import is_series, read_series
from experiments.predicting.predict import predict_volumes
from tests.experiments.predicting.test_volumes import Brightest, options

nib: Any = nibabel
SHAPE = (12, 14, 10)
"""Columns, rows and slices."""


def save_series(folder: Path, change: Callable[[int, Dataset], Any] | None = None) -> Any:
    """Writes coronal slices in any order, as a scanner does; the values by column, row, slice."""
    folder.mkdir(parents=True)
    values = np.random.default_rng(0).integers(100, 120, SHAPE)
    values[2:6, 3:6, 4:8] = 900
    series = generate_uid()
    for number, plane in enumerate(np.moveaxis(values, -1, 0)):
        one = Dataset()
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.SOPClassUID, one.SOPInstanceUID = MRImageStorage, generate_uid()
        one.SeriesInstanceUID, one.Modality = series, "MR"
        one.InstanceNumber = SHAPE[2] - number
        one.Columns, one.Rows = plane.shape
        one.PixelSpacing = [3.0, 2.0]
        one.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
        one.ImagePositionPatient = [-10, 20 + 4.0 * number, 30]
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 0
        one.RescaleSlope, one.RescaleIntercept = 2, -50
        one.PixelData = plane.T.astype("<u2").tobytes()
        if change is None or change(number, one) is not False:
            one.save_as(folder / f"IM{number * 7 % 10}", enforce_file_format=True)
    return values


def test_a_series_is_sorted_by_place_rescaled_and_lies_where_the_scanner_says(
    tmp_path: Path,
) -> None:
    values = save_series(tmp_path / "scan")
    (tmp_path / "scan" / "report.txt").write_text("no slice")
    image = read_series(tmp_path / "scan")
    # Voxel (column, row, slice) in millimetres to the left, posterior and superior.
    for index in ((0, 0, 0), (11, 13, 9), (3, 5, 7)):
        column, row, number = index
        place = nib.affines.apply_affine(image.affine, index)
        np.testing.assert_allclose(
            place, [10 - 2 * column, -20 - 4 * number, 30 - 3 * row], atol=1e-5
        )
    np.testing.assert_array_equal(image.get_fdata()[:, :, ::-1], 2 * values[:, :, ::-1] - 50)
    assert not is_series(tmp_path) and not is_series(tmp_path / "scan" / "report.txt")


@pytest.mark.parametrize("layout", ["series", "folder of series", "case of modalities"])
def test_masks_of_a_series_lie_over_it(
    layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["flair", "t1"] if layout == "case of modalities" else ["t1"]
    record = options(modalities=names, spacing=2.0)
    monkeypatch.setattr(predict, "load_network", lambda _: (Brightest().eval(), record))
    folders = [tmp_path / "data" / "p1" / name for name in names]
    if len(names) == 1:
        folders = [tmp_path / "data" / "p1"]
    for folder in folders:
        values = save_series(folder)
    inputs = folders[0] if layout == "series" else tmp_path / "data"
    (written,) = predict_volumes(Path("any"), [inputs], tmp_path / "out")
    mask = nib.load(written)
    assert written.name == "p1_mask.nii.gz"
    np.testing.assert_allclose(mask.affine, read_series(folders[0]).affine, atol=1e-5)
    found = mask.get_fdata() > 0
    assert (found == (values > 500)).mean() > 0.95 and found[3, 4, 5]


FAULTS: dict[str, tuple[Callable[[int, Dataset], Any], str]] = {
    "missing slice": (lambda number, one: number != 4, r"not evenly spaced \(gaps in mm: 4, 8\)"),
    "two series": (
        lambda number, one: setattr(one, "SeriesInstanceUID", f"1.{number % 2}"),
        "holds several",
    ),
    "localiser": (
        lambda number, one: number or setattr(one, "ImageOrientationPatient", [1, 0, 0, 0, 1, 0]),
        "differ in spacing or orientation",
    ),
    "one slice": (lambda number, one: number == 4, "its 1 slices are not evenly spaced"),
    "no pixels": (lambda number, one: one.__delitem__("PixelData"), "no DICOM series"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_not_one_whole_series_is_a_failure_of_that_case_alone(
    fault: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    record = options(modalities=["t1"], spacing=2.0)
    monkeypatch.setattr(predict, "load_network", lambda _: (Brightest().eval(), record))
    change, message = FAULTS[fault]
    save_series(tmp_path / "data" / "fine")
    save_series(tmp_path / "data" / "broken", change)
    with pytest.raises(UserError, match=message):
        read_series(tmp_path / "data" / "broken")
    with pytest.raises(UserError, match=r"1 of 2 cases could not be segmented \(broken\)"):
        predict_volumes(Path("any"), [tmp_path / "data"], tmp_path / "out")
    assert f"error: {tmp_path / 'data' / 'broken'} is no DICOM" in capsys.readouterr().err
    assert (tmp_path / "out" / "fine_mask.nii.gz").is_file()


def test_what_is_wrong_with_the_values_of_a_series_names_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record = options(modalities=["t1"])
    monkeypatch.setattr(predict, "load_network", lambda _: (Brightest().eval(), record))
    save_series(tmp_path / "dark", lambda _, one: setattr(one, "RescaleSlope", 0))
    for path in (tmp_path / "dark").iterdir():
        one = pydicom.dcmread(path)
        one.RescaleIntercept = 0
        one.save_as(path)
    with pytest.raises(UserError, match="1 of 1"):
        predict_volumes(Path("any"), [tmp_path / "dark"], tmp_path / "out")
    assert f"error: {tmp_path / 'dark'}.nii of dark is 0 everywhere" in capsys.readouterr().err
