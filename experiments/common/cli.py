"""The command line of a study: options from dataclasses, errors in one line, quiet libraries."""

from __future__ import annotations

import errno
import logging
import sys
import warnings
from argparse import ArgumentError
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from typing import Any, get_args, get_origin, get_type_hints

from jsonargparse import ArgumentParser, set_parsing_settings

from experiments.common.errors import UserError
from experiments.common.options import Options

USER_ERROR = 2
INTERRUPTED = 130


@dataclass(frozen=True)
class Command:
    """One subcommand.

    Args:
        name: as typed.
        options: its options; their docstrings are its help.
        run: does it; what it returns is not used.
    """

    name: str
    options: type[Options]
    run: Callable[[Any], Any]

    @property
    def summary(self) -> str:
        """The first paragraph of the docstring of its options."""
        return " ".join((self.options.__doc__ or "").split("\n\n")[0].split())


def run_command_line(
    program: str, description: str, commands: Sequence[Command], arguments: Sequence[str]
) -> int:
    """Parses `arguments`, runs the command and returns the exit status.

    0 for success, 2 for what the user can put right (one line on stderr), 130 after Ctrl-C. Other
    exceptions are faults of this programme and pass through with their traceback.
    """
    silence_libraries()
    chosen = {command.name: command for command in commands}
    parser = _parser(program, description, commands)
    try:
        namespace = parser.parse_args(_complete(list(arguments), commands))
        command = chosen[namespace.subcommand]
        values = dict(namespace[command.name].as_dict())
        values.pop("config")
        command.run(command.options(**values))
    except ArgumentError as error:
        print(
            f"error: {_one_line(error)}{_source(arguments)}; see {program} --help", file=sys.stderr
        )
        return USER_ERROR
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        print(
            "\ninterrupted: give the same command again to continue after the last completed epoch",
            file=sys.stderr,
        )
        return INTERRUPTED
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        place = f" ({error.filename})" if error.filename else ""
        print(
            f"error: the disk is full{place}; make room and give the same command again",
            file=sys.stderr,
        )
        return USER_ERROR
    return 0


def silence_libraries() -> None:
    """Turns off what libraries say that no user can act upon.

    Lightning: notes about hardware, advertising, how it restores checkpoints and stops; advice to
    use more workers for images that are in memory; its use of a deprecated name of torch.
    """
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (r".*LeafSpec.*is deprecated", r".*does not have many workers"):
        warnings.filterwarnings("ignore", message=message)


def _parser(program: str, description: str, commands: Sequence[Command]) -> ArgumentParser:
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(prog=program, description=description, exit_on_error=False)
    subcommands = parser.add_subcommands(required=True, metavar="command")
    for command in commands:
        subparser = ArgumentParser(description=command.summary, exit_on_error=False)
        subparser.add_argument(
            "--config", action="config", help="YAML file with options; those typed after it win"
        )
        subparser.add_class_arguments(command.options)
        subcommands.add_subcommand(command.name, subparser, help=command.summary)
    return parser


def _complete(words: list[str], commands: Sequence[Command]) -> list[str]:
    """Lets lists and switches be typed the usual way.

    `--channels 8 16` becomes `--channels "[8, 16]"`, and `--lit` becomes `--lit true`.
    """
    options = next((c.options for c in commands if words[:1] == [c.name]), None)
    if options is None:
        return words
    kinds = {f"--{name}": kind for name, kind in get_type_hints(options).items()}
    completed: list[str] = []
    while words:
        word, *words = words
        values = list(takewhile(lambda value: not value.startswith("-"), words))
        kind = kinds.get(word)
        completed.append(word)
        if kind is bool and not values:
            completed.append("true")
        elif _is_list(kind) and values and values != ["null"] and not values[0].startswith("["):
            completed.append(f"[{', '.join(values)}]")
            words = words[len(values) :]
    return completed


def _is_list(kind: Any) -> bool:
    return any(get_origin(member) is list for member in (kind, *get_args(kind)))


def _source(arguments: Sequence[str]) -> str:
    """Which file the options came from besides those typed, for the message about a wrong one."""
    words = [word for typed in arguments for word in typed.split("=", 1)]
    files = [value for word, value in pairwise(words) if word == "--config"]
    return f" (with --config {files[-1]})" if files else ""


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
