"""Reading NIfTI files whole, and checked."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from experiments.common.errors import UserError
from experiments.tumour.grids import Grid

GZIP_MAGIC = b"\x1f\x8b"

SAME_PLACE = 0.1
"""Two grids are one when their corners differ by less than this share of a voxel."""


def read_nifti(path: Path, case: str) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Read a NIfTI-1 or NIfTI-2 file, compressed or not.

    Args:
        path: the file.
        case: the name of the case, for messages.

    Returns:
        The values as the file's axes have them, and the affine, of shape (4, 4).

    Raises:
        UserError: when the file is missing, truncated, not NIfTI, or holds NaN or infinities.
    """
    image = _parse(_content(path, case), path, case)
    try:
        values = np.asanyarray(image.dataobj)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} of {case} is truncated or corrupt: {error}") from error
    if values.dtype.kind not in "iuf":
        raise UserError(f"{path} of {case} holds {values.dtype}: real numbers are needed")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        count = int((~np.isfinite(values)).sum())
        raise UserError(f"{path} of {case} holds {count} values that are NaN or infinite")
    affine = image.affine
    if affine is None or not np.isfinite(affine).all() or abs(np.linalg.det(affine)) < 1e-9:
        raise UserError(f"{path} of {case} has no usable orientation and spacing in its header")
    return values, affine


def refuse_other_grid(one: Grid, other: Grid, path: Path, reference: Path, case: str) -> None:
    """Refuse a file that is on another grid than the first file of its case.

    Raises:
        UserError: when the shapes differ, or the voxels are at other places.
    """
    if one.shape != other.shape:
        raise UserError(
            f"{path} of {case} is {_sizes(one)} voxels but {reference.name} is {_sizes(other)}: "
            "all files of a case should be on the same grid"
        )
    corners = np.stack(np.meshgrid(*((0, n - 1) for n in one.shape)), axis=-1).reshape(-1, 3)
    there, here = (grid.places(corners) for grid in (other, one))
    apart = float(np.linalg.norm(here - there, axis=1).max())
    if apart > SAME_PLACE * min(other.spacing):
        raise UserError(
            f"{path} of {case} lies up to {apart:.1f} mm from {reference.name} by its affine: "
            "all files of a case should be on the same grid"
        )


def _content(path: Path, case: str) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path} of {case} does not exist") from None
    except OSError as error:
        raise UserError(f"{path} of {case} cannot be read: {error.strerror or error}") from error
    if not content.startswith(GZIP_MAGIC):
        return content
    try:
        return gzip.decompress(content)
    # zlib.error is no OSError, a file cut short gives EOFError.
    except Exception as error:
        raise UserError(f"{path} of {case} is truncated or corrupt: {error}") from error


def _parse(content: bytes, path: Path, case: str) -> Any:
    for kind in (nib.Nifti1Image, nib.Nifti2Image):
        try:
            return kind.from_bytes(content)
        # Whatever the bytes are, nibabel tells in its own ways that they are no such file.
        except Exception:
            continue
    raise UserError(f"{path} of {case} is not a NIfTI file that can be read: is it corrupt?")


def _sizes(grid: Grid) -> str:
    return "x".join(map(str, grid.shape))
