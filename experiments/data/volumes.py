"""Reading volumes and their labels, checked, and putting values back as the files have them."""

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
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

AXES = "SPL"  # where the axes of a `Sample` run to: superior, posterior, left
LEAST_SPACING, MOST_SPACING = 0.005, 100.0  # in mm; others are a mistake in the header
SAME_PLACE = 0.1  # two grids are one when their corners differ by less than this share of a voxel

_DIRECTIONS = (("L", "R"), ("P", "A"), ("I", "S"))
_orient = Orientation(axcodes=AXES, labels=_DIRECTIONS)
_nib: Any = nib  # which tells few types


@dataclass(frozen=True, eq=False)
class Header:
    """What a NIfTI file says about its values."""

    shape: tuple[int, ...]  # with 3 or 4 axes
    affine: NDArray[np.float64]  # from voxels to millimetres to the right, anterior and superior
    note: str = ""  # what a user should know about it

    @property
    def spacing(self) -> NDArray[np.float64]:
        """Of the voxels along the three axes, in millimetres."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)


def read_header(path: Path, case: str) -> Header:
    """The header of a NIfTI file that is whole and says in one way where its voxels are."""
    where = f"{path} of {case}"
    try:
        image = _nib.load(path)
        header, stored = image.header, image.dataobj
        needed = int(stored.offset) + int(np.prod(image.shape)) * header.get_data_dtype().itemsize
        length = _length(path, needed)
    except FileNotFoundError:
        raise UserError(f"{where} does not exist") from None
    except nib.filebasedimages.ImageFileError as error:
        raise UserError(f"{where} is not a NIfTI file that can be read: {error}") from None
    # A file cut short or overwritten fails in many ways: EOFError, zlib.error, struct.error, ...
    except Exception as error:
        raise UserError(f"{where} is truncated or corrupt: {error}") from error
    if length < needed:
        raise UserError(f"{where} is truncated: {length} of {needed} bytes are there")
    if header.get_data_dtype().kind not in "iuf":
        raise UserError(f"{where} holds {header.get_data_dtype()}: real numbers are needed")
    if len(image.shape) not in (3, 4):
        raise UserError(f"{where} is {len(image.shape)}D: a 3D or 4D file is needed")
    return Header(image.shape, image.affine, _check_place(image, where))


def read_headers(case: Case) -> dict[Path, Header]:
    """The headers of all files of a case, which should be on the grid of the first."""
    if not case.images:
        raise UserError(f"{case.name} has no images")
    headers = {path: read_header(path, case.name) for path in case.files}
    reference, first = next(iter(headers.items()))
    for path, header in headers.items():
        one, other = ("x".join(map(str, of.shape[:3])) for of in (header, first))
        told = f"is {one} voxels but {reference.name} is {other}" if one != other else ""
        apart = _apart(header.affine, first.affine, header.shape)
        if not told and apart > SAME_PLACE * min(first.spacing):
            told = f"lies up to {apart:.1f} mm from {reference.name} by its affine"
        if told:
            raise UserError(
                f"{path} of {case.name} {told}: all files of a case should be on the same grid"
            )
    return headers


def read_volume(case: Case, regions: Sequence[str]) -> Sample:
    """Read the files of a case; `UserError` when they contradict each other or cannot be used."""
    headers = read_headers(case)
    read = {path: _values(path, case.name) for path in headers}
    channels = []
    for channel, path in case.images.items():
        number = case.volumes.get(channel)
        _check_volumes(headers[path], number, f"{path} of {case.name}", channel)
        values = read[path][number or 0][None]
        if not values.any():
            raise UserError(f"{path} of {case.name} is 0 everywhere: its {channel} is empty")
        channels.append(values)
    mask = None
    if case.label is not None:
        _check_volumes(headers[case.label], None, f"{case.label} of {case.name}", "segmentation")
        mask = region_masks(read[case.label][0].as_tensor(), case, regions)
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


def _check_place(image: Any, where: str) -> str:
    """Refuse a header that does not tell where its voxels are; what else should be said of it."""
    header, affine = image.header, image.affine
    if not np.isfinite(affine).all() or np.linalg.matrix_rank(affine[:3, :3]) < 3:
        raise UserError(f"{where} has no usable orientation and spacing in its header")
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    pixdim = np.abs(np.asarray(header["pixdim"][1:4], dtype=float))
    one, other = (" x ".join(f"{step:g}" for step in steps) for steps in (spacing, pixdim))
    if not LEAST_SPACING < spacing.min() <= spacing.max() < MOST_SPACING:
        raise UserError(
            f"{where} has voxels of {one} mm by its header: each edge should be between "
            f"{LEAST_SPACING} and {MOST_SPACING:g} mm"
        )
    sform, qform = int(header["sform_code"]), int(header["qform_code"])
    if not sform and not qform:
        return f"{where} does not say how it is oriented: its axes are taken for left, anterior, up"
    if not qform and not np.allclose(spacing, pixdim, rtol=0.01):
        raise UserError(
            f"{where} says two things: voxels of {one} mm by its sform, of {other} mm by its "
            "pixdim; put the wrong one right"
        )
    apart = _apart(header.get_sform(), header.get_qform(), image.shape) if sform and qform else 0
    if apart <= SAME_PLACE * spacing.min():
        return ""
    told = f"{where} says two things: its sform and qform are up to {apart:.1f} mm apart"
    # Two codes stand for two spaces, such as that of the scanner and that of an atlas.
    if sform == qform:
        raise UserError(f"{told}; remove the wrong one")
    return f"{told}; the sform is used"


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


def _check_volumes(header: Header, number: int | None, where: str, what: str) -> None:
    """Refuse a file without the volume of this number, or with several where None is given."""
    volumes, needed = (*header.shape, 1)[3], ""
    if number is None and volumes != 1:
        needed = "a 3D volume is needed"
    elif number is not None and volumes <= number:
        needed = f"a 4D file with at least {number + 1} volumes is needed, for {what} is the last"
    if needed:
        shape = "x".join(map(str, header.shape))
        raise UserError(f"{where} is {len(header.shape)}D, {shape}: {needed}")
