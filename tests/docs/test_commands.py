"""The commands on the pages exist, with the options they are given."""

import dataclasses
import importlib.util
import shlex

import pytest

from experiments.command_line.parser import run_command_line
from experiments.polyp.study import STUDY as POLYP
from experiments.running.study_commands import commands_of
from experiments.tumour.study import STUDY as TUMOUR
from tests.docs.pages import PAGES, ROOT, blocks_of, name_of

STUDIES = {f"experiments.{study.name}": study for study in (POLYP, TUMOUR)}

LAUNCHERS = ("python", "exec", "srun", "torchrun")
VARIABLES = {"$network": "plain", "$seed": "0", "runs/array/$network-seed$seed": "runs/array/a"}
"""That scripts on the pages set."""


def shell_commands_of(markdown):
    """The commands in the shell blocks of a page, as words."""
    for block in blocks_of(markdown):
        if block.language in ("sh", "bash"):
            for line in block.text.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words:
                    yield words


def fault_of(words):
    """Why a command cannot work, or None; it is parsed and checked, not carried out."""
    if words[0] == "sh":
        return None if (ROOT / words[1]).is_file() else f"{words[1]} does not exist"
    if words[0] not in LAUNCHERS or "-m" not in words:
        return None
    module, *arguments = words[words.index("-m") + 1 :]
    arguments = [VARIABLES.get(word, word) for word in arguments]
    if module in STUDIES:
        commands = commands_of(STUDIES[module])
        idle = [dataclasses.replace(command, run=lambda *_, **__: None) for command in commands]
        try:
            status = run_command_line(module, "", idle, arguments)
        except SystemExit as end:  # --help
            status = end.code
        return None if status == 0 else f"{shlex.join(arguments)} is refused"
    return None if importlib.util.find_spec(module) else f"there is no module {module}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_commands_on_the_page_are_accepted(page):
    faults = [fault_of(words) for words in shell_commands_of(page.read_text())]
    assert [fault for fault in faults if fault is not None] == []


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("sh scripts/missing.sh", "scripts/missing.sh does not exist"),
        ("python -m benchmarks.missing", "there is no module benchmarks.missing"),
        ("python -m experiments.polyp train --colour 3", "train --colour 3 is refused"),
        ("python -m experiments.polyp \\\n    cook", "cook is refused"),
        ("srun python -m experiments.tumour train --colour 3", "train --colour 3 is refused"),
        ("python -m experiments.tumour study --engine coal", "study --engine coal is refused"),
    ],
)
def test_a_command_that_does_not_exist_is_found(command, fault):
    page = f"text\n```sh\n{command}\n```\n"
    assert [fault_of(words) for words in shell_commands_of(page)] == [fault]
