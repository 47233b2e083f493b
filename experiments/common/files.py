"""Files that are written whole or not at all, and read with errors that name them."""

import json
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


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A place beside `path` for a file or folder that takes its place when the block is done."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
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


def write_atomically(path: str | Path, data: bytes | str) -> None:
    """Writes `data`, text as UTF-8: afterwards the file holds all of it, or what it held before."""
    with _replacing(Path(path)) as temporary, temporary.open("xb") as file:
        file.write(data.encode("utf-8") if isinstance(data, str) else data)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """A folder to fill, which appears at `path`, so far missing or empty, only when complete."""
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise UserError(f"{path} is a file: name a folder that is new or empty")
    if path.is_dir() and any(path.iterdir()):
        raise UserError(f"{path} is not empty: name a folder that is new or empty")
    with _replacing(path) as temporary:
        temporary.mkdir()
        yield temporary


def write_json(path: str | Path, value: Any) -> None:
    """Writes JSON, atomically: paths become strings, arrays lists, NaN and infinities `null`."""
    text = json.dumps(value, default=_plain)
    strict = json.loads(text, parse_constant=lambda name: None)
    write_atomically(path, json.dumps(strict, indent=2) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def read_json(path: str | Path) -> Any:
    """The contents of a JSON file."""
    return _read(Path(path), "JSON", json.loads)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """A YAML file of `option: value` lines, without duplicate options, anchors and aliases."""
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
