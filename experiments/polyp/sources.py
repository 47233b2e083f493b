"""Finding the images and masks of the public polyp data sets in their official layouts.

- Kvasir-SEG (Jha et al., MultiMedia Modeling 2020): `images/<id>.jpg`, `masks/<id>.jpg`.
- CVC-ClinicDB (Bernal et al., Computerized Medical Imaging and Graphics 2015):
  `Original/<frame>.tif`, `Ground Truth/<frame>.tif`.

Images may be JPEG, PNG or TIFF in both; every other file is ignored.
"""

from __future__ import annotations

import csv
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from experiments.common.errors import UserError
from experiments.common.names import natural_key

LAYOUTS: Mapping[str, tuple[str, str]] = {
    "kvasir": ("images", "masks"),
    "clinicdb": ("Original", "Ground Truth"),
}
"""The folders of images and of masks, by data set."""

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp")

CLINICDB_FIRST_FRAMES = (
    *(1, 26, 51, 68, 79, 104, 127, 152, 178, 200, 206, 228, 253, 278, 298),
    *(318, 343, 364, 384, 409, 429, 448, 467, 479, 504, 529, 547, 572, 592),
)
"""The first frame of each of the 29 video sequences, as the readme of CVC-ClinicDB lists them."""

CLINICDB_FRAMES = 612


@dataclass(frozen=True)
class Sample:
    """An image and its mask on the disk.

    Attributes:
        name: the file name without its suffix; unique within a data set.
        image: the file of the image.
        mask: the file of the mask, of the same size in pixels.
        sequence: the video sequence the image is a frame of; its own name when there is none.
    """

    name: str
    image: Path
    mask: Path
    sequence: str


def find_samples(dataset: str, root: Path) -> list[Sample]:
    """List the samples of a data set, in natural order (2 before 10).

    For `clinicdb` the sequence of a frame comes from `sequences.csv` (columns `name`, `sequence`)
    when there is one beside the two folders, and from the table of the official readme otherwise.

    Args:
        dataset: `kvasir` or `clinicdb`.
        root: the folder that holds the two folders of the layout.

    Raises:
        UserError: when the data set is unknown, the folder is missing, empty or laid out in another
            way, an image or a mask stands alone or twice, or a frame has no sequence.
    """
    if dataset not in LAYOUTS:
        raise UserError(f"unknown data set {dataset!r}: choose one of {', '.join(LAYOUTS)}")
    root = Path(root)
    images, masks = (_files_by_name(dataset, root, folder) for folder in LAYOUTS[dataset])
    image_folder, mask_folder = (root / folder for folder in LAYOUTS[dataset])
    if not images and not masks:
        raise UserError(
            f"{image_folder} holds no images: looked for files ending in "
            f"{', '.join(IMAGE_SUFFIXES)}"
        )
    _refuse_unpaired(images, masks, mask_folder, "mask")
    _refuse_unpaired(masks, images, image_folder, "image")
    names = sorted(images, key=natural_key)
    sequences = _clinicdb_sequences(root, images) if dataset == "clinicdb" else {}
    return [Sample(name, images[name], masks[name], sequences.get(name, name)) for name in names]


def _files_by_name(dataset: str, root: Path, folder: str) -> dict[str, Path]:
    """The image files of one folder of the layout, by their names without suffix."""
    if not root.is_dir():
        raise UserError(f"{root} is not a folder: give the folder where {dataset} was unpacked")
    path = root / folder
    if not path.is_dir():
        both = " and ".join(f"{name}/" for name in LAYOUTS[dataset])
        raise UserError(f"{root} is not laid out as {dataset}: looked for {both}, found no {path}")
    files: dict[str, Path] = {}
    for file in sorted(path.iterdir()):
        if file.name.startswith(".") or file.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        if file.stem in files:
            raise UserError(f"{file} and {files[file.stem].name} are the same sample: keep one")
        files[file.stem] = file
    return files


def _refuse_unpaired(
    files: Mapping[str, Path], partners: Mapping[str, Path], folder: Path, kind: str
) -> None:
    alone = sorted(files.keys() - partners.keys(), key=natural_key)
    if alone:
        more = f" (and {len(alone) - 1} more like it)" if len(alone) > 1 else ""
        raise UserError(
            f"{files[alone[0]]} has no {kind}: looked for {folder / alone[0]}.* {more}".rstrip()
        )


def _clinicdb_sequences(root: Path, images: Mapping[str, Path]) -> dict[str, str]:
    table = root / "sequences.csv"
    if table.exists():
        sequences = _read_sequences(table)
        for name in sorted(images, key=natural_key):
            if name not in sequences:
                raise UserError(f"{table} has no row for {images[name]}")
        return sequences
    return {name: _official_sequence(name, image) for name, image in images.items()}


def _official_sequence(name: str, image: Path) -> str:
    if not name.isdecimal() or not 1 <= int(name) <= CLINICDB_FRAMES:
        raise UserError(
            f"{image} is not a frame of CVC-ClinicDB: its name should be a number from 1 to "
            f"{CLINICDB_FRAMES}, or a sequences.csv in {image.parent.parent} should say which "
            "video sequence it belongs to"
        )
    return str(bisect_right(CLINICDB_FIRST_FRAMES, int(name)))


def _read_sequences(table: Path) -> dict[str, str]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"{table} cannot be read: {error}") from error
    if not rows or not {"name", "sequence"} <= rows[0].keys():
        raise UserError(f"{table} should have the columns name and sequence, and a row per frame")
    sequences = {row["name"]: row["sequence"] for row in rows}
    for name, sequence in sequences.items():
        if not sequence:
            raise UserError(f"{table} names no sequence for {name!r}")
    return sequences
