"""What the layouts have in common: files by name, pairs, and the tables in a dataset.json."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.common.errors import UserError
from experiments.common.files import read_json
from experiments.data.cases import Regions, natural_key

SYNONYMS = {"t2f": "flair", "t1n": "t1", "t1w": "t1", "t1c": "t1ce", "t1gd": "t1ce", "t2w": "t2"}


def modality_name(name: str) -> str:
    """Our name of a modality: flair, t1, t1ce or t2 under any of their names, others as given."""
    return SYNONYMS.get(name.lower(), name.lower())


def stem(path: Path, suffixes: Sequence[str]) -> str | None:
    """The name of a file without its suffix; None for other files, and for hidden ones."""
    suffix = next((ending for ending in suffixes if path.name.lower().endswith(ending)), None)
    if suffix is None or path.name.startswith(".") or not path.is_file():
        return None
    return path.name[: -len(suffix)]


def paired_files(
    root: Path, folders: tuple[str, str], suffixes: Sequence[str], layout: str
) -> tuple[dict[str, Path], dict[str, Path]]:
    """The images and the masks in two folders by their names without suffix, in natural order."""
    found: list[dict[str, Path]] = []
    for folder in (root / name for name in folders):
        if not folder.is_dir():
            raise UserError(
                f"{root} is not laid out as {layout}: looked for {folder.name}/, found none"
            )
        files: dict[str, Path] = {}
        for file in sorted(folder.iterdir(), key=lambda path: natural_key(path.name)):
            name = stem(file, suffixes)
            if name in files:
                raise UserError(f"{file} and {files[name].name} are the same case: keep one")
            if name:
                files[name] = file
        found.append(files)
    if not any(found):
        kinds = ", ".join(suffixes)
        raise UserError(f"{root / folders[0]} holds no images: looked for files ending in {kinds}")
    return found[0], found[1]


def refuse_alone(
    files: Mapping[str, Path], partners: Mapping[str, Any], folder: Path, kind: str
) -> None:
    """Refuse files without a partner of the same name in another folder."""
    alone = [name for name in files if name not in partners]
    if alone:
        more = f" (and {len(alone) - 1} more like it)" if len(alone) > 1 else ""
        raise UserError(f"{files[alone[0]]} has no {kind}: looked for {folder / alone[0]}.*{more}")


def read_table(path: Path, layout: str, key: str) -> dict[str, Any]:
    """The table of this key in a dataset.json."""
    if not path.is_file():
        raise UserError(f"{path.parent} is not laid out as {layout}: found no {path.name} in it")
    content = read_json(path)
    table = content.get(key) if isinstance(content, dict) else None
    if not isinstance(table, dict) or not table:
        raise UserError(f'{path} should say {key}, such as "{key}": {{"0": "..."}}')
    return table


def read_channels(path: Path, layout: str, key: str) -> tuple[str, ...]:
    """Our names of the channels that dataset.json names by their numbers, in order."""
    named = read_table(path, layout, key)
    try:
        return tuple(modality_name(str(named[str(number)])) for number in range(len(named)))
    except KeyError:
        raise UserError(f'{path} should number the channels from "0", found {named!r}') from None


def regions_of(path: Path, labels: Mapping[str, Any]) -> Regions:
    """The regions, from `{name: label or list of labels}` without the background, 0."""
    regions: dict[str, tuple[int, ...]] = {}
    for name, value in labels.items():
        values = tuple(value) if isinstance(value, list) else (value,)
        if name.lower() == "ignore":
            raise UserError(f"{path} has a label {name!r}: voxels to ignore are not supported")
        if not values or not all(isinstance(one, int) and 0 <= one < 256 for one in values):
            raise UserError(f"{path} has labels {value!r} of {name!r}: whole numbers are needed")
        if values != (0,):
            regions[name.lower()] = values
    if not regions:
        raise UserError(f"{path} names no labels but the background")
    return regions
