"""Images and masks in two folders, under the same names.

- `folder`: any `images/` and `masks/`.
- `kvasir`: Kvasir-SEG (Jha et al., MultiMedia Modeling 2020): `images/<id>.jpg`, `masks/<id>.jpg`.
- `clinicdb`: CVC-ClinicDB (Bernal et al., Computerized Medical Imaging and Graphics 2015):
  `Original/<frame>.tif`, `Ground Truth/<frame>.tif`.

Which video sequence or patient an image belongs to may stand in a file `sequences.csv` beside the
two folders, with the columns `name` and `sequence`.
"""

from bisect import bisect_right
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from experiments.common.errors import UserError
from experiments.data.cases import Case, Source
from experiments.data.images import SUFFIXES
from experiments.data.layouts.files import paired_files, refuse_alone

LAYOUTS: Mapping[str, tuple[str, str]] = {
    "folder": ("images", "masks"),
    "kvasir": ("images", "masks"),
    "clinicdb": ("Original", "Ground Truth"),
}
"""The folders of images and of masks, by layout."""

CLINICDB_FIRST_FRAMES = (
    *(1, 26, 51, 68, 79, 104, 127, 152, 178, 200, 206, 228, 253, 278, 298),
    *(318, 343, 364, 384, 409, 429, 448, 467, 479, 504, 529, 547, 572, 592),
)
"""The first frame of each of the 29 video sequences, as the readme of CVC-ClinicDB lists them."""

CLINICDB_FRAMES = 612


def find(layout: str, root: Path) -> Source:
    """The images of a folder."""
    folders = LAYOUTS[layout]
    images, masks = paired_files(root, folders, SUFFIXES, layout)
    refuse_alone(images, masks, root / folders[1], "mask")
    refuse_alone(masks, images, root / folders[0], "image")
    groups: Mapping[str, str] = {}
    if (root / "sequences.csv").exists():
        groups = _read_sequences(root / "sequences.csv", images)
    elif layout == "clinicdb":
        groups = {name: _official_sequence(name, image) for name, image in images.items()}
    cases = [
        Case(name, {"image": image}, masks[name], groups.get(name, ""))
        for name, image in images.items()
    ]
    return Source(cases, ("image",), ("mask",), ("mask",), 2)


def _official_sequence(name: str, image: Path) -> str:
    if not name.isdecimal() or not 1 <= int(name) <= CLINICDB_FRAMES:
        raise UserError(
            f"{image} is not a frame of CVC-ClinicDB: its name should be a number from 1 to "
            f"{CLINICDB_FRAMES}, or a sequences.csv in {image.parent.parent} should say which "
            "video sequence it belongs to"
        )
    return str(bisect_right(CLINICDB_FIRST_FRAMES, int(name)))


def _read_sequences(table: Path, images: Mapping[str, Path]) -> dict[str, str]:
    try:
        read = pd.read_csv(table, dtype=str, keep_default_na=False, encoding="utf-8-sig")
        sequences = dict(zip(read["name"], read["sequence"], strict=True))
    except KeyError:
        raise UserError(f"{table} should have the columns name and sequence") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{table} cannot be read: {error}") from error
    for name, image in images.items():
        if not sequences.get(name):
            raise UserError(f"{table} names no sequence for {image}")
    return sequences
