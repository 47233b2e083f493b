"""Reading volumes and their labels, checked, and putting values back as the files have them."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from monai.transforms.spatial.array import Orientation
from numpy.typing import NDArray
from torch import Tensor

from experiments.common.errors import UserError
from experiments.data.cases import Case, Sample, region_masks

SUFFIXES = (".nii.gz", ".nii")

AXES = "SPL"
"""Where the axes of a `Sample` run to: superior, posterior, left."""

LEAST_SPACING, MOST_SPACING = 0.005, 100.0
"""Voxels of other sizes, in millimetres, are a mistake in the header."""

SAME_PLACE = 0.1
"""Two grids are one when their corners differ by less than this share of a voxel."""

_DIRECTIONS = (("L", "R"), ("P", "A"), ("I", "S"))
_orient = Orientation(axcodes=AXES, labels=_DIRECTIONS)
# nibabel tells few types.
_nib: Any = nib


@dataclass(frozen=True, eq=False)
class Header:
    """What a NIfTI file says about its values.

    Attributes:
        shape: of the values, with 3 or 4 axes.
        affine: (4, 4), from voxel indices to millimetres to the right, anterior and superior.
        note: what a user should know about it; empty for nothing.
    """

    shape: tuple[int, ...]
    affine: NDArray[np.float64]
    note: str = ""

    @property
    def spacing(self) -> NDArray[np.float64]:
        """Of the voxels along the three axes, in millimetres."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)


def read_header(path: Path, case: str) -> Header:
    """The header of a NIfTI file, checked, without reading its values.

    Raises:
        UserError: when the file is missing, truncated or not NIfTI, or its header does not say
            plausibly, and in one way only, where its voxels are.
    """
    try:
        image = _nib.load(path)
        header, stored = image.header, image.dataobj
        needed = int(stored.offset) + int(np.prod(image.shape)) * header.get_data_dtype().itemsize
        length = _length(path, needed)
    except FileNotFoundError:
        raise UserError(f"{path} of {case} does not exist") from None
    except nib.filebasedimages.ImageFileError as error:
        raise UserError(f"{path} of {case} is not a NIfTI file that can be read: {error}") from None
    # A file cut short or overwritten fails in many ways: EOFError, zlib.error, struct.error, ...
    except Exception as error:
        raise UserError(f"{path} of {case} is truncated or corrupt: {error}") from error
    if length < needed:
        raise UserError(f"{path} of {case} is truncated: {length} of {needed} bytes are there")
    if header.get_data_dtype().kind not in "iuf":
        raise UserError(
            f"{path} of {case} holds {header.get_data_dtype()}: real numbers are needed"
        )
    if len(image.shape) not in (3, 4):
        raise UserError(f"{path} of {case} is {len(image.shape)}D: a 3D or 4D file is needed")
    found = Header(image.shape, image.affine)
    return replace(found, note=_check_place(found, header, f"{path} of {case}"))


def refuse_other_grid(one: Header, other: Header, path: Path, reference: Path, case: str) -> None:
    """Refuse a file that is on another grid than the first file of its case.

    Raises:
        UserError: when the shapes differ, or the voxels are at other places.
    """
    sizes = ["x".join(map(str, header.shape[:3])) for header in (one, other)]
    if sizes[0] != sizes[1]:
        raise UserError(
            f"{path} of {case} is {sizes[0]} voxels but {reference.name} is {sizes[1]}: "
            "all files of a case should be on the same grid"
        )
    apart = _apart(one.affine, other.affine, one.shape)
    if apart > SAME_PLACE * min(other.spacing):
        raise UserError(
            f"{path} of {case} lies up to {apart:.1f} mm from {reference.name} by its affine: "
            "all files of a case should be on the same grid"
        )


def read_volume(case: Case, regions: Sequence[str]) -> Sample:
    """Read the files of a case.

    Raises:
        UserError: as `read_header`; when a file is corrupt, holds NaN or infinities or is of
            another number of dimensions than its layout has; when the files are not on one grid, a
            channel is 0 everywhere, or a label is unknown.
    """
    read: dict[Path, MetaTensor] = {}
    headers: dict[Path, Header] = {}
    for path in case.files:
        headers[path] = read_header(path, case.name)
        refuse_other_grid(headers[path], headers[case.files[0]], path, case.files[0], case.name)
        read[path] = _values(path, case.name)
    if not case.images:
        raise UserError(f"{case.name} has no images")

    def volume(path: Path, number: int | None, what: str) -> MetaTensor:
        shape = headers[path].shape
        told = f"{path} of {case.name} is {len(shape)}D, {'x'.join(map(str, shape))}"
        return _volume(read[path], number, told, what)

    channels = []
    for channel, path in case.images.items():
        values = volume(path, case.volumes.get(channel), channel)
        if not values.any():
            raise UserError(f"{path} of {case.name} is 0 everywhere: its {channel} is empty")
        channels.append(values)
    mask = None
    if case.label is not None:
        labels = volume(case.label, None, "segmentation")
        mask = region_masks(labels[0].as_tensor(), case, regions)
    return Sample(case.name, torch.cat(channels), mask)


def as_in_file(values: Tensor, sample: Sample) -> NDArray[Any]:
    """Values (D, H, W) on the grid of a sample, with the axes as they are in its file."""
    affine = sample.image.affine
    codes = "".join(nib.aff2axcodes(sample.image.meta["original_affine"]))
    turned = Orientation(axcodes=codes, labels=_DIRECTIONS)(MetaTensor(values[None], affine=affine))
    return np.ascontiguousarray(turned[0].numpy())


def _length(path: Path, needed: int) -> int:
    """How many bytes a file holds, uncompressed."""
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
        length = file.seek(0, 2)
        if not compressed:
            return length
        file.seek(-4, 2)
        # The last bytes of a whole file tell the length modulo 2^32, but for one of several parts.
        if int.from_bytes(file.read(4), "little") == needed % 2**32:
            return needed
    with gzip.open(path) as content:
        return sum(len(part) for part in iter(lambda: content.read(1 << 20), b""))


def _check_place(found: Header, header: Any, where: str) -> str:
    """Refuse a header that does not tell where its voxels are; what else should be said of it."""
    spacing, sform, qform = found.spacing, int(header["sform_code"]), int(header["qform_code"])
    if not np.isfinite(found.affine).all() or np.linalg.matrix_rank(found.affine[:3, :3]) < 3:
        raise UserError(f"{where} has no usable orientation and spacing in its header")
    if not LEAST_SPACING < spacing.min() <= spacing.max() < MOST_SPACING:
        sizes = " x ".join(f"{step:g}" for step in spacing)
        raise UserError(
            f"{where} has voxels of {sizes} mm by its header: each edge should be between "
            f"{LEAST_SPACING} and {MOST_SPACING:g} mm"
        )
    if not sform and not qform:
        return f"{where} does not say how it is oriented: its axes are taken for left, anterior, up"
    pixdim = np.abs(np.asarray(header["pixdim"][1:4], dtype=float))
    if not qform and not np.allclose(spacing, pixdim, rtol=0.01):
        one, other = (" x ".join(f"{step:g}" for step in steps) for steps in (spacing, pixdim))
        raise UserError(
            f"{where} says two things: voxels of {one} mm by its sform, of {other} mm by its "
            "pixdim; put the wrong one right"
        )
    apart = _apart(header.get_sform(), header.get_qform(), found.shape) if sform and qform else 0
    if apart > SAME_PLACE * spacing.min():
        told = f"{where} says two things: its sform and qform are up to {apart:.1f} mm apart"
        # Two codes stand for two spaces, such as that of the scanner and that of an atlas.
        if sform == qform:
            raise UserError(f"{told}; remove the wrong one")
        return f"{told}; the sform is used"
    return ""


def _apart(one: Any, other: Any, shape: Sequence[int]) -> float:
    """The largest distance in millimetres between the corners of two grids of this shape."""
    corners = np.array([[*corner, 1] for corner in product(*((0, n - 1) for n in shape[:3]))])
    return float(np.linalg.norm(((one - other) @ corners.T)[:3], axis=0).max())


def _values(path: Path, case: str) -> MetaTensor:
    """All values of a file, (volumes, D, H, W), in our orientation."""
    try:
        stored = _nib.load(path)
        array = np.asarray(stored.dataobj, dtype=np.float32)
    except MemoryError:
        raise
    except Exception as error:
        raise UserError(f"{path} of {case} is truncated or corrupt: {error}") from error
    wrong = int((~np.isfinite(array)).sum())
    if wrong:
        raise UserError(f"{path} of {case} holds {wrong} values that are NaN or infinite")
    first = np.moveaxis(array.reshape(*array.shape[:3], -1), -1, 0)
    values = MetaTensor(torch.from_numpy(first), affine=torch.from_numpy(stored.affine))
    values.meta["original_affine"] = stored.affine
    oriented: MetaTensor = _orient(values).contiguous()
    return oriented


def _volume(values: MetaTensor, number: int | None, told: str, what: str) -> MetaTensor:
    """One of the volumes of a file, (1, D, H, W)."""
    if number is None and len(values) != 1:
        raise UserError(f"{told}: a 3D volume is needed")
    if number is not None and len(values) <= number:
        raise UserError(
            f"{told}: a 4D file with at least {number + 1} volumes is needed, of which {what} is "
            f"number {number + 1}"
        )
    index = number or 0
    one: MetaTensor = values[index : index + 1]
    return one
