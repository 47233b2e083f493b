"""A folder with a DICOM series, read as one volume."""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
from pydicom.misc import is_dicom
from pydicom.pixels.processing import apply_rescale

from experiments.common.errors import UserError


def is_series(folder: Path) -> bool:
    """Whether a folder has DICOM files in it."""
    return folder.is_dir() and any(_is_slice(path) for path in folder.iterdir())


def read_series(folder: Path) -> Any:
    """The volume, a NIfTI image; a `UserError` if it is not whole, or not one."""
    try:
        return _volume([pydicom.dcmread(path) for path in folder.iterdir() if _is_slice(path)])
    except MemoryError:
        raise
    # Files that lack an entry or were cut short fail in many ways.
    except Exception as error:
        raise UserError(f"{folder} is no DICOM series that can be read: {error}") from error


def _is_slice(path: Path) -> bool:
    return path.is_file() and path.name != "DICOMDIR" and is_dicom(path)


def _volume(slices: list[Any]) -> Any:
    if len({one.SeriesInstanceUID for one in slices}) > 1:
        raise ValueError("it holds several, each needs a folder of its own")
    if len({str([one.PixelSpacing, one.ImageOrientationPatient]) for one in slices}) > 1:
        raise ValueError("its slices differ in spacing or orientation")
    across, down = np.reshape(slices[0].ImageOrientationPatient, (2, 3)).astype(float)
    normal = np.cross(across, down)
    slices = sorted(slices, key=lambda one: normal @ np.array(one.ImagePositionPatient))
    places = np.array([one.ImagePositionPatient for one in slices], float)
    gaps = np.diff(places @ normal)
    if len(slices) < 2 or gaps.min() <= 0 or np.ptp(gaps) > 0.02 * gaps.max():
        told = ", ".join(f"{gap:g}" for gap in np.unique(gaps.round(3))) or "none"
        raise ValueError(f"its {len(slices)} slices are not evenly spaced (gaps in mm: {told})")
    rows, columns = map(float, slices[0].PixelSpacing)
    step = (places[-1] - places[0]) / (len(slices) - 1)
    affine = np.vstack(
        [np.stack([across * columns, down * rows, step, places[0]], 1), np.eye(4)[3]]
    )
    values = np.stack([apply_rescale(one.pixel_array, one).T for one in slices], axis=-1)
    # DICOM counts to the left and posterior, NIfTI to the right and anterior.
    affine = np.diag([-1, -1, 1, 1]) @ affine
    return nib.Nifti1Image(values.astype(np.float32), affine)  # type: ignore[no-untyped-call]
