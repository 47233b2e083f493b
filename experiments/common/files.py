"""Files that are written whole or not at all, and read with errors that name them."""

from __future__ import annotations

import json
import math
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from experiments.common.errors import UserError


def write_atomically(path: str | Path, data: bytes | str) -> None:
    """Write `data` to `path`: afterwards the file holds all of it, or what it held before.

    The data goes to a temporary file in the same folder, is flushed to the disk, and then takes
    the place of `path` in one step. Missing parent folders are made. Text is written as UTF-8.

    Raises:
        UserError: when the file cannot be written (a full disk, no permission, ...).
    """
    with _replacing(Path(path)) as temporary:
        temporary.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            file.write(data.encode("utf-8") if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """Fill a folder that appears at `path` only when it is complete.

    Yields a temporary folder beside `path`; when the block ends without an error it is renamed to
    `path`, otherwise it is removed.

    Raises:
        UserError: when `path` is a file or a folder that holds anything, or cannot be written.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise UserError(f"{path} is a file: name a folder that is new or empty")
    if path.is_dir() and any(path.iterdir()):
        raise UserError(f"{path} is not empty: name a folder that is new or empty")
    with _replacing(path) as temporary:
        temporary.mkdir(parents=True)
        yield temporary


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically.

    Paths become strings, numpy arrays and scalars plain numbers, and NaN and the infinities, which
    JSON cannot say, `null`.

    Raises:
        UserError: when the file cannot be written.
        TypeError: when `value` holds something that JSON has no word for.
    """
    write_atomically(path, json.dumps(_plain(value), indent=2, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        UserError: when the file is missing, unreadable, or not JSON.
    """
    return _read(Path(path), "JSON", json.loads)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML file of `option: value` lines, without duplicate options, anchors and aliases.

    Raises:
        UserError: when the file is missing, unreadable, or something else.
    """
    values = _read(Path(path), "YAML", lambda text: yaml.load(text, Loader=_PlainLoader))
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected lines of the form option: value")
    return values


class _PlainLoader(yaml.SafeLoader):
    """No aliases, which can grow a short file to any size, and no key twice."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.get_event()
            where = event.start_mark.line + 1
            raise ValueError(f"line {where}: aliases are not allowed, write out *{event.anchor}")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise ValueError(f"{twice} is given twice")
        return super().construct_mapping(node, deep)


def _read(path: Path, kind: str, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"{path} is not a {kind} file as expected: {reason}") from error


def _plain(value: Any) -> Any:
    """`value` in terms of what JSON knows."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A place beside `path` for a file or folder that takes its place when the block is done."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        yield temporary
        temporary.replace(path)
    except BaseException as error:
        # Whatever goes wrong here must not hide the error that led here.
        with suppress(OSError):
            shutil.rmtree(temporary) if temporary.is_dir() else temporary.unlink()
        if isinstance(error, OSError):
            reason = error.strerror or error
            raise UserError(
                f"{path} cannot be written: {reason} (what was there before is untouched)"
            ) from error
        raise
