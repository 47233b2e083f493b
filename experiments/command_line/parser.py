"""A parser made from dataclasses of options, with errors in one line and quiet libraries."""

import errno
import json
import logging
import sys
import warnings
from argparse import ArgumentError
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from jsonargparse import ArgumentParser, set_parsing_settings

from experiments.command_line.options import Options
from experiments.common.errors import UserError
from experiments.common.files import read_yaml


@dataclass(frozen=True)
class Command:
    """A subcommand: its options, whose docstring is its help, and what is done with them."""

    name: str
    options: type[Options]
    run: Callable[[Any], Any]


def run_command_line(
    program: str, description: str, commands: Sequence[Command], arguments: Sequence[str]
) -> int:
    """Parses `arguments`, runs the command and returns the exit status.

    0 for success, 2 for what the user can put right (one line on stderr), 130 after Ctrl-C. Other
    exceptions are faults of this program and pass through with their traceback.
    """
    silence_libraries()
    status = 2
    try:
        command, options = _parse(program, description, commands, list(arguments))
        command.run(options)
    except ArgumentError as error:
        config = _config_files(arguments)
        source = f" (with --config {config[-1]})" if config else ""
        said = f"error: {' '.join(str(error).split())}{source}; see {program} --help"
    except UserError as error:
        said = f"error: {error}"
    except KeyboardInterrupt:
        said, status = "\ninterrupted: rerun the same command to resume", 130
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        place = f" ({error.filename})" if error.filename else ""
        said = f"error: the disk is full{place}; make room and rerun the same command"
    else:
        return 0
    print(said, file=sys.stderr)
    return status


def silence_libraries() -> None:
    """Turns off what libraries say that no user can act upon, advertising among it."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (r".*LeafSpec.*is deprecated", r".*does not have many workers"):
        warnings.filterwarnings("ignore", message=message)


def _parse(
    program: str, description: str, commands: Sequence[Command], arguments: list[str]
) -> tuple[Command, Options]:
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(prog=program, description=description, exit_on_error=False)
    subcommands = parser.add_subcommands(required=True, metavar="command")
    for command in commands:
        summary = " ".join((command.options.__doc__ or "").split("\n\n")[0].split())
        subparser = ArgumentParser(description=summary, exit_on_error=False)
        subparser.add_argument(
            "--config", action="config", help="YAML file with options; those typed after it win"
        )
        subparser.add_class_arguments(command.options)
        subcommands.add_subcommand(command.name, subparser, help=summary)
    named = {command.name: command for command in commands}
    if arguments and arguments[0] in named:
        for file in _config_files(arguments):
            read_yaml(file)
        arguments = list(_completed(arguments, named[arguments[0]].options))
    namespace = parser.parse_args(arguments)
    command = named[namespace.subcommand]
    values = dict(namespace[command.name].as_dict())
    del values["config"]
    return command, command.options(**values)


def _config_files(arguments: Sequence[str]) -> list[str]:
    words = [word for typed in arguments for word in typed.split("=", 1)]
    return [value for word, value in pairwise(words) if word == "--config"]


def _completed(words: list[str], options: type[Options]) -> Iterator[str]:
    """`--channels 8 16` becomes `--channels "[8, 16]"`, and a switch `--lit` `--lit true`."""
    kinds = {f"--{name}": kind for name, kind in get_type_hints(options).items()}
    while words:
        word, *words = words
        kind, values = kinds.get(word), list(takewhile(lambda value: value[:1] != "-", words))
        yield word
        if kind is bool and not values:
            yield "true"
        lists = [one for one in (kind, *get_args(kind)) if get_origin(one) in (list, Sequence)]
        items = get_args(lists[0])[0] if lists else None
        if lists and values and not _is_list_already(values, items):
            words = words[len(values) :]
            # Names may hold commas, brackets and colons; numbers are numbers in JSON too.
            yield json.dumps(values) if items in (str, Path) else f"[{', '.join(values)}]"


def _is_list_already(values: Sequence[str], items: Any) -> bool:
    first = values[0]
    bracketed = len(values) == 1 and first.startswith("[") and first.endswith("]")
    return values == ["null"] or (bracketed and not (items is Path and Path(first).exists()))
