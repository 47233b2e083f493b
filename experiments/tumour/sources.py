"""Finding the volumes of the public brain-tumour data sets in their official layouts.

- BraTS (Baid et al., arXiv:2107.02314): a folder per case, a file per modality in it, named after
  the folder:
  `BraTS20_Training_001/BraTS20_Training_001_{flair,t1,t1ce,t2,seg}.nii[.gz]` in 2020,
  `BraTS2021_00000/BraTS2021_00000_{flair,t1,t1ce,t2,seg}.nii.gz` in 2021,
  `BraTS-GLI-00000-000/BraTS-GLI-00000-000-{t2f,t1n,t1c,t2w,seg}.nii.gz` since 2023.
  Other data may come in the same layout, with any names and any modalities.
- Task01 of the Medical Segmentation Decathlon (Antonelli et al., Nature Communications 2022):
  `imagesTr/BRATS_001.nii.gz`, one 4D file with all modalities, and `labelsTr/BRATS_001.nii.gz`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from experiments.common.errors import UserError
from experiments.common.files import read_json
from experiments.common.names import natural_key
from experiments.tumour.labels import ConventionName

Layout: TypeAlias = Literal["brats", "msd"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)

SUFFIXES = (".nii.gz", ".nii")

SYNONYMS: Mapping[str, str] = {
    "t2f": "flair",
    "t1n": "t1",
    "t1w": "t1",
    "t1c": "t1ce",
    "t1gd": "t1ce",
    "t2w": "t2",
}
"""Our name of a modality by its other names; any other name is taken as it is."""

SEGMENTATION = "seg"

MSD_MODALITIES = ("flair", "t1", "t1ce", "t2")
"""The order of the 4D images when no dataset.json says otherwise."""

PROBE = 1 << 16
"""Bytes from the middle of a file that tell it from others of the same length."""


@dataclass(frozen=True)
class Case:
    """The files of one patient's examination.

    Attributes:
        name: unique within a data set.
        images: the file of each modality, in the order of the network's channels.
        segmentation: the file of the labels, on the same grid; None when there is none.
        channels: which volume of its 4D file a modality is; empty when the files are 3D.
        convention: what the labels mean.
    """

    name: str
    images: Mapping[str, Path]
    segmentation: Path | None
    channels: Mapping[str, int] = field(default_factory=dict)
    convention: ConventionName = "unofficial"


def find_cases(layout: str, root: Path, modalities: Sequence[str] | None = None) -> list[Case]:
    """List the cases of a data set, in natural order (2 before 10).

    Args:
        layout: `brats` or `msd`.
        root: the folder that holds the folders of the cases, or `imagesTr` and `labelsTr`.
        modalities: which to use, in this order, under any of their names; all that the first case
            has when None, in alphabetical order.

    Raises:
        UserError: when the layout is unknown, the folder is missing, empty or laid out in another
            way, or a case lacks a modality, has one twice, or is there twice.
    """
    if layout not in LAYOUTS:
        raise UserError(f"unknown layout {layout!r}: choose one of {', '.join(LAYOUTS)}")
    root = Path(root)
    if not root.is_dir():
        raise UserError(f"{root} is not a folder: give the folder where {layout} was unpacked")
    asked = None if modalities is None else modality_names(modalities)
    cases = _brats_cases(root, asked) if layout == "brats" else _msd_cases(root, asked)
    _refuse_copies(cases)
    return cases


def modality_name(name: str) -> str:
    """Our name of a modality: flair, t1, t1ce or t2 under any of their names, others as given."""
    return SYNONYMS.get(name.lower(), name.lower())


def modality_names(modalities: Sequence[str]) -> tuple[str, ...]:
    """Our names of modalities, in the same order.

    Raises:
        UserError: when there are none, or one is there twice.
    """
    names = tuple(modality_name(name) for name in modalities)
    if not names or len(set(names)) < len(names):
        raise UserError(
            f"modalities are {', '.join(modalities) or 'none'}: name at least one, each once"
        )
    return names


def _brats_cases(root: Path, asked: tuple[str, ...] | None) -> list[Case]:
    folders = sorted(
        (path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")),
        key=lambda path: natural_key(path.name),
    )
    files = {folder: _brats_files(folder) for folder in folders}
    files = {folder: found for folder, found in files.items() if found}
    if not files:
        raise UserError(
            f"{root} is not laid out as brats: looked for <case>/<case>_flair.nii.gz and its like "
            "in the folders in it, found none"
        )
    wanted = asked or _all_modalities(files)
    return [_brats_case(folder, found, wanted) for folder, found in files.items()]


def _brats_files(folder: Path) -> dict[str, Path]:
    """The files of a case by our name of what they hold; empty when it has none named after it."""
    files: dict[str, Path] = {}
    strangers: list[Path] = []
    for file, stem in _volumes(folder):
        if not re.match(re.escape(folder.name) + "[_-].", stem):
            strangers.append(file)
            continue
        kind = modality_name(stem[len(folder.name) + 1 :])
        if kind in files:
            raise UserError(f"{file} and {files[kind].name} are both the {kind} of this case")
        files[kind] = file
    outlines = [file for file in strangers if "seg" in file.name.lower()]
    # Case 355 of BraTS 2020 was published with a segmentation under another name.
    if files and SEGMENTATION not in files and len(outlines) == 1:
        files[SEGMENTATION] = outlines[0]
        strangers.remove(outlines[0])
    if strangers:
        raise UserError(
            f"{strangers[0]} should be named after its folder, "
            f"{folder.name}_<modality>.nii.gz: is it another case?"
        )
    return files


def _all_modalities(files: Mapping[Path, Mapping[str, Path]]) -> tuple[str, ...]:
    """What at least one case has, and thus all should."""
    kinds = {kind for found in files.values() for kind in found} - {SEGMENTATION}
    if not kinds:
        raise UserError(f"{next(iter(files))} holds a segmentation but no image")
    return tuple(sorted(kinds))


def _brats_case(folder: Path, files: Mapping[str, Path], wanted: Iterable[str]) -> Case:
    for modality in wanted:
        if modality not in files:
            held = ", ".join(sorted(files.keys() - {SEGMENTATION})) or "none"
            raise UserError(
                f"{folder.name} has no {modality}: looked in {folder} and found the modalities "
                f"{held} (name the modalities that all cases have to leave out others)"
            )
    images = {modality: files[modality] for modality in wanted}
    segmentation = files.get(SEGMENTATION)
    return Case(folder.name, images, segmentation, convention=_brats_convention(folder.name))


def _brats_convention(name: str) -> ConventionName:
    if re.match("BraTS-", name, re.IGNORECASE):
        return "brats2023"
    return "brats" if re.match("BraTS", name, re.IGNORECASE) else "unofficial"


def _msd_cases(root: Path, asked: tuple[str, ...] | None) -> list[Case]:
    images = _msd_files(root, "imagesTr")
    if not images:
        raise UserError(f"{root / 'imagesTr'} holds no volumes: looked for files ending in .nii.gz")
    labels = _msd_files(root, "labelsTr") if (root / "labelsTr").exists() else {}
    alone = sorted(labels.keys() - images.keys(), key=natural_key)
    if alone:
        raise UserError(f"{labels[alone[0]]} has no image: looked in {root / 'imagesTr'}")
    order = msd_modalities(root)
    wanted = asked or order
    for modality in wanted:
        if modality not in order:
            raise UserError(f"{root} has no modality {modality}: choose from {', '.join(order)}")
    channels = {modality: order.index(modality) for modality in wanted}
    return [
        Case(name, dict.fromkeys(wanted, images[name]), labels.get(name), channels, "msd")
        for name in sorted(images, key=natural_key)
    ]


def _msd_files(root: Path, folder: str) -> dict[str, Path]:
    path = root / folder
    if not path.is_dir():
        raise UserError(
            f"{root} is not laid out as msd: looked for imagesTr/ and labelsTr/, found no {path}"
        )
    files: dict[str, Path] = {}
    for file, stem in _volumes(path):
        if stem in files:
            raise UserError(f"{file} and {files[stem].name} are the same case: keep one")
        files[stem] = file
    return files


def msd_modalities(root: Path) -> tuple[str, ...]:
    """The modalities in the order of the 4D images."""
    table = root / "dataset.json"
    if not table.exists():
        return MSD_MODALITIES
    record = read_json(table)
    named: Any = record.get("modality") if isinstance(record, dict) else None
    try:
        return tuple(modality_name(named[str(channel)]) for channel in range(len(named)))
    except (TypeError, KeyError, AttributeError):
        raise UserError(
            f'{table} should name the modalities as {{"modality": {{"0": "FLAIR", ...}}}}, '
            f"found {named!r}"
        ) from None


def _volumes(folder: Path) -> list[tuple[Path, str]]:
    """The NIfTI files of a folder with their names without suffix; hidden ones are litter."""
    found = []
    for file in sorted(folder.iterdir()):
        suffix = next((ending for ending in SUFFIXES if file.name.lower().endswith(ending)), None)
        if suffix is not None and not file.name.startswith(".") and file.is_file():
            found.append((file, file.name[: -len(suffix)]))
    return found


def _refuse_copies(cases: Sequence[Case]) -> None:
    """A patient under two names would be trained on and tested on."""
    seen: dict[tuple[int, bytes], Case] = {}
    for case in cases:
        file = next(iter(case.images.values()))
        key = _fingerprint(file)
        if key in seen:
            raise UserError(
                f"{case.name} is a copy of {seen[key].name}: {file} holds the same as "
                f"{next(iter(seen[key].images.values()))}, keep one of the two cases"
            )
        seen[key] = case


def _fingerprint(path: Path) -> tuple[int, bytes]:
    """The length of a file and what is in its middle."""
    try:
        length = path.stat().st_size
        with path.open("rb") as file:
            file.seek(max(0, (length - PROBE) // 2))
            return length, file.read(PROBE)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
