"""Finding the volumes to segment, which come as folders or as files, without any segmentation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib

from experiments.common.errors import UserError
from experiments.data.cases import Case, natural_key
from experiments.data.layouts import decathlon, files
from experiments.data.layouts.brats import SEGMENTATION, modality_name
from experiments.data.volumes import SUFFIXES


def find_inputs(inputs: Sequence[Path], modalities: Sequence[str]) -> list[Case]:
    """The cases in some folders or files.

    A folder is a case when its files are named after modalities, `<anything>_<modality>.nii.gz`;
    otherwise every 4D file or every folder in it is one. Files named after modalities are together
    one case; otherwise each is one, with all modalities in it.

    Args:
        inputs: one or more folders, or one or more files.
        modalities: those of the network, in the order of its channels.

    Raises:
        UserError: something is missing, a case lacks a modality, or two cases have the same name.
    """
    for path in inputs:
        if not path.exists():
            raise UserError(f"{path} does not exist: name a folder or a NIfTI file")
    folders = [path for path in inputs if path.is_dir()]
    if not inputs or 0 < len(folders) < len(inputs):
        raise UserError("name one or more folders, or one or more NIfTI files of one case")
    names = tuple(modality_name(name) for name in modalities)
    if folders:
        cases = [case for folder in folders for case in _in_folder(folder, names)]
    else:
        cases = _of_files(inputs, names)
    seen: dict[str, Case] = {}
    for case in cases:
        if case.name in seen:
            raise UserError(
                f"two cases are called {case.name}, in {_place(case)} and {_place(seen[case.name])}"
            )
        seen[case.name] = case
    return cases


def stem(path: Path) -> str | None:
    """The name of a NIfTI file without its suffix; None for any other file, or a hidden one."""
    return files.stem(path, SUFFIXES)


def _in_folder(folder: Path, names: tuple[str, ...]) -> list[Case]:
    if (folder / "imagesTr").is_dir():
        raise UserError(f"{folder}: name {folder / 'imagesTr'} or the folder of other images in it")
    found = _files(folder)
    if found:
        return _of_files(found, names, folder.name)
    inner = sorted(
        (path for path in folder.iterdir() if path.is_dir() and _files(path)),
        key=lambda path: natural_key(path.name),
    )
    if not inner:
        raise UserError(f"{folder}: no NIfTI files ({', '.join(SUFFIXES)}), nor in folders in it")
    return [case for path in inner for case in _of_files(_files(path), names, path.name)]


def _files(folder: Path) -> list[Path]:
    found = [path for path in folder.iterdir() if stem(path) is not None]
    return sorted(found, key=lambda path: natural_key(path.name))


def _of_files(
    paths: Sequence[Path], names: tuple[str, ...], folder: str | None = None
) -> list[Case]:
    """One case of files named after modalities, or a case of every file."""
    for file in paths:
        if stem(file) is None:
            raise UserError(f"{file} is not a NIfTI file: its name should end in .nii.gz or .nii")
    if any(_modality(file) in names for file in paths):
        return [_named_case(folder or _common_name(paths[0]), paths, names)]
    return [_single_file(file, names) for file in paths]


def _modality(file: Path) -> str:
    """What the end of the name of a file says that it holds."""
    return modality_name(re.split("[_-]", stem(file) or "")[-1])


def _common_name(file: Path) -> str:
    found = stem(file) or ""
    return re.sub("[_-][^_-]*$", "", found) or found


def _named_case(name: str, paths: Iterable[Path], names: tuple[str, ...]) -> Case:
    images: dict[str, Path] = {}
    for file in paths:
        modality = _modality(file)
        if modality in images:
            raise UserError(f"{file} and {images[modality].name} are both the {modality} of {name}")
        images[modality] = file
    found = sorted(images.keys() - {SEGMENTATION})
    for modality in names:
        if modality not in images:
            raise UserError(
                f"{name} has no {modality}, which the network was trained on: found "
                f"{', '.join(found) or 'no other modality'} (files are recognised by their names, "
                f"such as {name}_{modality}.nii.gz)"
            )
    return Case(name, {modality: images[modality] for modality in names})


def _single_file(file: Path, names: tuple[str, ...]) -> Case:
    name = stem(file) or file.name
    if _volumes_in(file, len(names)) == 1:
        if len(names) > 1:
            raise UserError(
                f"{file} is a single volume, but the network was trained on {', '.join(names)}: "
                f"name all files of the case, called <case>_<modality>.nii.gz"
            )
        return Case(name, {names[0]: file})
    # Without a dataset.json the volumes of a file are taken for those that the network expects.
    task = file.parent.parent
    order = decathlon.modalities(task) if (task / "dataset.json").is_file() else names
    missing = [modality for modality in names if modality not in order]
    if missing:
        raise UserError(f"{file} has no {missing[0]}: it is taken to hold {', '.join(order)}")
    volumes = {modality: order.index(modality) for modality in names}
    return Case(name, dict.fromkeys(names, file), volumes=volumes)


def _volumes_in(file: Path, expected: int) -> int:
    """How many volumes a file holds, 1 if it is 3D; `expected` if it cannot be read."""
    try:
        image: Any = nib.load(file)
    # Reading the case will say what is wrong with it.
    except Exception:
        return expected
    return int(image.shape[3]) if len(image.shape) == 4 else 1


def _place(case: Case) -> Path:
    return next(iter(case.images.values())).parent
