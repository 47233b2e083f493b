"""scripts/environment.sh, with an interpreter and an installer that only write down their calls."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

# Answers what the script asks of Python. Files beside it say what goes wrong.
INTERPRETER = """#!/bin/sh
here={folder}
case "$*" in
    "-c import sys; sys.exit(sys.version_info < (3, 10))") [ ! -e "$here/old" ] ;;
    "-c import ensurepip, venv") [ ! -e "$here/no_venv" ] ;;
    "--version") echo "Python 3.9.2" ;;
    "-m venv "*) echo make >>"$here/calls"; mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
    "-m pip"*) echo "$*" >>"$here/calls"; [ ! -e "$here/offline" ] ;;
esac
"""


@pytest.fixture
def clone(tmp_path):
    (tmp_path / "scripts").mkdir()
    for name in ("setup.cfg", "pyproject.toml", "constraints.txt", "scripts/environment.sh"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "make.sh").write_text("set -eu\n. scripts/environment.sh\nenvironment .venv dev\n")
    interpreter = tmp_path / "my python"
    interpreter.write_text(INTERPRETER.format(folder=tmp_path))
    interpreter.chmod(0o755)
    return tmp_path


def make(clone, **environment):
    environment = {**os.environ, "PYTHON": str(clone / "my python"), **environment}
    return subprocess.run(
        ["sh", "make.sh"], cwd=clone, env=environment, capture_output=True, text=True, timeout=60
    )


def calls(clone):
    recorded = (clone / "calls").read_text().splitlines()
    (clone / "calls").write_text("")
    return recorded


def test_a_new_environment_is_installed_with_the_pinned_versions(clone):
    result = make(clone)
    assert result.returncode == 0, result.stderr
    made, *installed = calls(clone)
    assert made == "make"
    assert installed[-1].endswith("--editable .[dev]")
    assert all("--constraint constraints.txt" in call for call in installed)


def test_a_complete_environment_is_used_again(clone):
    make(clone)
    calls(clone)
    result = make(clone)
    assert result.returncode == 0
    assert calls(clone) == []
    assert "Using the environment .venv" in result.stdout


def test_an_interrupted_installation_is_started_again(clone):
    (clone / "offline").touch()
    assert make(clone).returncode != 0
    (clone / "offline").unlink()
    calls(clone)
    assert make(clone).returncode == 0
    assert calls(clone)[0] == "make"


@pytest.mark.parametrize("name", ["setup.cfg", "pyproject.toml", "constraints.txt"])
def test_an_environment_is_made_anew_when_what_it_holds_changes(clone, name):
    make(clone)
    calls(clone)
    with (clone / name).open("a") as file:
        file.write("# changed\n")
    assert make(clone).returncode == 0
    assert calls(clone)[0] == "make"


def test_an_environment_that_was_moved_is_made_anew(clone):
    make(clone)
    moved = clone.with_name("moved")
    clone.rename(moved)
    (moved / "my python").write_text(INTERPRETER.format(folder=moved))
    (moved / "calls").unlink()
    assert make(moved).returncode == 0
    assert calls(moved)[0] == "make"


def test_a_python_that_is_too_old_is_refused_with_its_version(clone):
    (clone / "old").touch()
    result = make(clone)
    assert result.returncode == 1
    assert "Python 3.9.2: 3.10 or newer is needed" in result.stderr


def test_a_python_that_is_not_there_is_refused_with_its_name(clone):
    result = make(clone, PYTHON="/nowhere/python")
    assert result.returncode == 1
    assert "PYTHON=/nowhere/python is not a Python interpreter" in result.stderr


def test_a_machine_without_python_is_told_what_is_needed(clone):
    result = subprocess.run(
        ["/bin/sh", "make.sh"], cwd=clone, env={"PATH": "/nowhere"}, capture_output=True, text=True
    )
    assert result.returncode == 1
    assert "Python 3.10 or newer is needed" in result.stderr


def test_a_python_without_venv_is_refused_with_the_package_that_brings_it(clone):
    (clone / "no_venv").touch()
    result = make(clone)
    assert result.returncode == 1
    assert "apt install python3-venv" in result.stderr
    assert not (clone / ".venv").exists()
