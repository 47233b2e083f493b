"""What to type for a command with given options."""

import json
import shlex
from collections.abc import Collection, Mapping
from dataclasses import MISSING
from typing import Any

from experiments.command_line.options import Options


def command(
    program: str,
    name: str,
    options: type[Options],
    values: Mapping[str, Any],
    left_out: Collection[str] = (),
) -> str:
    """What to type for the command `name` of a program, without defaults and what is left out."""
    words, defaults = [*shlex.split(program), name], options.defaults()
    for option, value in values.items():
        if option not in left_out and value != defaults.get(option, MISSING):
            several = value if isinstance(value, list) else [value]
            special = (None, True, False)
            said = [json.dumps(one) if one in special else str(one) for one in several]
            words += [f"--{option}", *said]
    return shlex.join(words)
