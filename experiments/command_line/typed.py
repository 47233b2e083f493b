"""What to type for a command with given options."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields
from typing import Any

from experiments.command_line.options import Options


def command(
    study: str,
    name: str,
    options: type[Options],
    values: Mapping[str, Any],
    left_out: Collection[str] = (),
) -> str:
    """What to type for the command `name` of a study with these options.

    Args:
        study: the package under `experiments`.
        name: of the command.
        options: knows the defaults, which are not typed.
        values: of the options, as they are or as plain data.
        left_out: options that are not typed either.
    """
    defaults = {
        field.name: field.default_factory()
        if field.default_factory is not MISSING
        else field.default
        for field in fields(options)
    }
    words = ["python", "-m", f"experiments.{study}", name]
    for option, value in values.items():
        if option not in left_out and value != defaults.get(option, MISSING):
            several = value if isinstance(value, list) else [value]
            words += [f"--{option}", *(_word(one) for one in several)]
    return shlex.join(words)


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)
