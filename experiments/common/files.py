"""Writing results so that a full disk or a killed process never spoils an earlier one."""

from __future__ import annotations

import json
import math
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from experiments.common.errors import UserError


def write_atomically(path: str | Path, data: bytes | str) -> None:
    """Write `data` to `path`: afterwards the file holds all of it, or what it held before.

    The data goes to a temporary file in the same folder, is flushed to the disk, and then takes
    the place of `path` in one step. Missing parent folders are made. Text is written as UTF-8.

    Raises:
        UserError: when the file cannot be written (a full disk, no permission, ...).
    """
    path = Path(path)
    temporary = _temporary_beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            file.write(data.encode("utf-8") if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        _discard(temporary)
        raise _cannot_write(path, error) from error
    except BaseException:
        _discard(temporary)
        raise


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
    temporary = _temporary_beside(path)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        _discard(temporary)
        raise _cannot_write(path, error) from error
    except BaseException:
        _discard(temporary)
        raise


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
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise UserError(f"{path} is not a JSON file: {error}") from error


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


def _temporary_beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")


def _discard(temporary: Path) -> None:
    # Whatever goes wrong here must not hide the error that led here.
    with suppress(OSError):
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink()


def _cannot_write(path: Path, error: OSError) -> UserError:
    return UserError(
        f"{path} cannot be written: {error.strerror or error} (what was there before is untouched)"
    )
