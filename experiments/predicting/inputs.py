"""Finding the images and volumes to segment, which come as files or folders of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from experiments.common.errors import UserError
from experiments.common.files import read_json
from experiments.data.cases import Case, natural_key
from experiments.data.images import SUFFIXES as IMAGES
from experiments.data.layouts import decathlon, files
from experiments.data.layouts.brats import SEGMENTATION, modality_name
from experiments.data.volumes import SUFFIXES as VOLUMES
from experiments.predicting.dicom import is_series

Found: TypeAlias = dict[str, Callable[[], Case]]
"""Cases by name; making one raises a `UserError` if something is missing."""


def find_images(inputs: Sequence[Path]) -> Found:
    """Every image named, and those in the folders named; a `UserError` if there are none."""
    images: list[Path] = []
    for path in _existing(inputs):
        found = _inside(path, _is_image)
        if not found or not _is_image(found[0]):
            raise UserError(f"{path} is or holds no image ({', '.join(IMAGES)})")
        images += found
    return _by_name((one.stem, partial(Case, one.stem, {"image": one})) for one in images)


def find_volumes(inputs: Sequence[Path], modalities: Sequence[str]) -> Found:
    """The cases in some folders, or of some volumes: NIfTI files, or folders with a DICOM series.

    Volumes named `<case>_<modality>`, or `<case>_0000` by the number of the modality, are together
    a case; a folder with each modality once is one case of that name. Other volumes are a case
    each. A folder without volumes has a folder for every case.
    """
    names = tuple(modality_name(name) for name in modalities)
    alone = [path for path in _existing(inputs) if path.is_file() or is_series(path)]
    if 0 < len(alone) < len(inputs):
        raise UserError("name one or more folders, or one or more volumes, not both")
    cases = _cases(alone, names, None)
    for folder in inputs if not alone else []:
        if (folder / "imagesTr").is_dir():
            raise UserError(f"{folder}: name {folder / 'imagesTr'} or another folder of images")
        inner = [folder] if _inside(folder, _name) else _inside(folder, Path.is_dir)
        found = [case for one in inner for case in _cases(_inside(one, _name), names, one.name)]
        if not found:
            kinds = f"NIfTI files ({', '.join(VOLUMES)}) or DICOM series"
            raise UserError(f"{folder}: no {kinds}, nor in folders in it")
        cases += found
    return _by_name(cases)


def _existing(inputs: Sequence[Path]) -> Sequence[Path]:
    missing = [path for path in inputs if not path.exists()]
    if missing or not inputs:
        raise UserError(f"{missing[0]} does not exist" if missing else "name files or folders")
    return inputs


def _is_image(path: Path) -> bool:
    return files.stem(path, IMAGES) is not None


def _name(path: Path) -> str:
    """The name of a volume without its suffix; empty for anything else."""
    return path.name if is_series(path) else files.stem(path, VOLUMES) or ""


def _inside(path: Path, wanted: Callable[[Path], Any]) -> list[Path]:
    """What is wanted in a folder, in natural order; or the file that `path` is itself."""
    inner = [path] if path.is_file() else [one for one in path.iterdir() if wanted(one)]
    return sorted(inner, key=lambda one: natural_key(one.name))


def _by_name(cases: Iterable[tuple[str, Callable[[], Case]]]) -> Found:
    found: Found = {}
    for name, make in cases:
        if name in found:
            raise UserError(f"two of the inputs are called {name}: rename one")
        found[name] = make
    return found


def _cases(
    paths: Sequence[Path], names: tuple[str, ...], folder: str | None
) -> list[tuple[str, Callable[[], Case]]]:
    parts = []
    for path in paths:
        split = re.fullmatch("(.*?)[_-]?([^_-]*)", _name(path))
        if not split or not split[0]:
            raise UserError(f"{path} is not a NIfTI file: its name should end in .nii.gz or .nii")
        parts.append((split[1], modality_name(split[2])))
    numbers = {f"{number:04d}": name for number, name in enumerate(names)}
    if all(kind in numbers for _, kind in parts):
        parts = [(case, numbers[kind]) for case, kind in parts]
    known = [kind for _, kind in parts if kind in names]
    if not known:
        return [(_name(path), partial(_single, path, names)) for path in paths]
    # Each modality once: one case, whatever its files are called.
    one = folder or parts[0][0] or parts[0][1] if len(set(known)) == len(known) else None
    groups: dict[str, list[tuple[str, Path]]] = {}
    for path, (case, kind) in zip(paths, parts, strict=True):
        groups.setdefault(one or case, []).append((kind, path))
    return [(name, partial(_together, name, group, names)) for name, group in groups.items()]


def _together(name: str, group: Sequence[tuple[str, Path]], names: tuple[str, ...]) -> Case:
    """A case of a file for each modality."""
    images = dict(group)
    twice = next((path for kind, path in group if images[kind] != path), None)
    if twice is not None:
        raise UserError(f"{twice} of {name} holds a modality that another file holds too")
    missing = [kind for kind in names if kind not in images]
    if missing:
        found = ", ".join(sorted(images.keys() - {SEGMENTATION})) or "no other modality"
        raise UserError(
            f"{name} has no {missing[0]}, which the network was trained on: found {found} (files "
            f"are recognised by their names, such as {name}_{missing[0]}.nii.gz)"
        )
    return Case(name, {kind: images[kind] for kind in names})


def _single(path: Path, names: tuple[str, ...]) -> Case:
    """A case in one file, with all modalities in it: as a dataset.json says, or as expected."""
    table, order = path.parent.parent / "dataset.json", names
    if table.is_file() and "modality" in read_json(table):
        order = decathlon.modalities(table.parent)
    if len(names) == len(order) == 1:
        order = names
    missing = [kind for kind in names if kind not in order]
    if missing:
        raise UserError(f"{path} has no {missing[0]}: it is taken to hold {', '.join(order)}")
    numbers = {kind: order.index(kind) for kind in names}
    return Case(_name(path), dict.fromkeys(names, path), volumes=numbers)
