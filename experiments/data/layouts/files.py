"""What the layouts have in common: files by name, pairs, and the tables in a dataset.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.common.errors import UserError
from experiments.common.files import read_json
from experiments.data.cases import Regions, natural_key


def stem(path: Path, suffixes: Sequence[str]) -> str | None:
    """The name of a file without its suffix; None for other files, and for hidden ones."""
    suffix = next((ending for ending in suffixes if path.name.lower().endswith(ending)), None)
    if suffix is None or path.name.startswith(".") or not path.is_file():
        return None
    return path.name[: -len(suffix)]


def files_by_name(folder: Path, suffixes: Sequence[str], layout: str) -> dict[str, Path]:
    """The files of a folder by their names without suffix, in natural order.

    Raises:
        UserError: there is no such folder, or two files have the same name.
    """
    if not folder.is_dir():
        raise UserError(
            f"{folder.parent} is not laid out as {layout}: looked for {folder.name}/, found none"
        )
    files: dict[str, Path] = {}
    for file in sorted(folder.iterdir(), key=lambda path: natural_key(path.name)):
        name = stem(file, suffixes)
        if name is None:
            continue
        if name in files:
            raise UserError(f"{file} and {files[name].name} are the same case: keep one")
        files[name] = file
    return files


def refuse_alone(
    files: Mapping[str, Path], partners: Mapping[str, Any], folder: Path, kind: str
) -> None:
    """Refuse files without a partner of the same name in another folder.

    Raises:
        UserError: naming the first of them.
    """
    alone = [name for name in files if name not in partners]
    if alone:
        more = f" (and {len(alone) - 1} more like it)" if len(alone) > 1 else ""
        raise UserError(f"{files[alone[0]]} has no {kind}: looked for {folder / alone[0]}.*{more}")


def read_table(root: Path, layout: str, keys: Sequence[str]) -> dict[str, Any]:
    """The content of dataset.json.

    Raises:
        UserError: it is missing, or one of the keys in it is missing or holds no table.
    """
    path = root / "dataset.json"
    if not path.is_file():
        raise UserError(f"{root} is not laid out as {layout}: found no {path.name} in it")
    table = read_json(path)
    for key in keys:
        if not isinstance(table, dict) or not isinstance(table.get(key), dict) or not table[key]:
            raise UserError(f'{path} should say {key}, such as "{key}": {{"0": "..."}}')
    return dict(table)


def channel_order(path: Path, named: Mapping[str, Any]) -> tuple[str, ...]:
    """The channels named by their numbers, `{"0": "FLAIR", ...}`, in order and in lower case.

    Raises:
        UserError: they are not numbered from 0.
    """
    try:
        return tuple(str(named[str(number)]).lower() for number in range(len(named)))
    except KeyError:
        raise UserError(f'{path} should number the channels from "0", found {named!r}') from None


def regions_of(path: Path, labels: Mapping[str, Any]) -> Regions:
    """The regions, from `{name: label or list of labels}` without the background, 0.

    Raises:
        UserError: something else is there than labels, or no region.
    """
    regions: dict[str, tuple[int, ...]] = {}
    for name, value in labels.items():
        values = tuple(value) if isinstance(value, list) else (value,)
        if name.lower() == "ignore":
            raise UserError(f"{path} has a label {name!r}: voxels to ignore are not supported")
        if not values or not all(isinstance(one, int) and 0 <= one < 256 for one in values):
            raise UserError(
                f"{path} has labels {value!r} of {name!r}: they should be whole numbers"
            )
        if values != (0,):
            regions[name.lower()] = values
    if not regions:
        raise UserError(f"{path} names no labels but the background")
    return regions
