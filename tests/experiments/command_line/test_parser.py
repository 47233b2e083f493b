import errno
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from experiments.command_line.options import Options, check_at_least, options_of
from experiments.command_line.parser import Command, run_command_line
from experiments.common.errors import UserError


@dataclass(frozen=True, kw_only=True)
class BakeOptions(Options):
    """Bake bread.

    More about it.
    """

    flour: Literal["rye", "wheat"] = "rye"
    """what it is made of"""
    minutes: int = 50
    """time in the oven"""
    seeds: list[str] = field(default_factory=list)
    """what to strew on it"""
    weights: list[int] | None = None
    """of the loaves in grams"""
    oven: Path | None = None
    """which one"""

    def check(self) -> None:
        check_at_least("minutes", self.minutes, 1)


@dataclass(frozen=True, kw_only=True)
class EatOptions(Options):
    """Eat several loaves."""

    loaves: list[Path]
    """which ones"""
    butter: bool = False
    """spread it"""


@pytest.fixture
def cli():
    """Runs words; returns the status and the options that the command was given."""

    def run(*words: str, does=lambda options: None):
        received = []

        def command(options):
            received.append(options)
            does(options)

        commands = [
            Command("bake", BakeOptions, command),
            Command("eat", EatOptions, command),
        ]
        with warnings.catch_warnings():
            status = run_command_line("baker", "All about bread.", commands, words)
        return status, received[0] if received else None

    return run


def test_options_have_their_defaults_and_types(cli):
    assert cli("bake") == (0, BakeOptions())
    assert cli("bake", "--minutes", "40", "--flour", "wheat", "--oven", "a/b") == (
        0,
        BakeOptions(minutes=40, flour="wheat", oven=Path("a/b")),
    )


@pytest.mark.parametrize(
    "words",
    [
        ["--seeds", "poppy", "sesame", "--weights", "500", "750"],
        ["--seeds", "[poppy, sesame]", "--weights=[500, 750]"],
        ["--weights", "500", "750", "--seeds", "poppy", "sesame", "--flour", "rye"],
    ],
)
def test_lists_are_typed_with_spaces_or_in_brackets(words, cli):
    assert cli("bake", *words) == (0, BakeOptions(seeds=["poppy", "sesame"], weights=[500, 750]))


def test_a_list_of_one_and_none_are_understood(cli):
    assert cli("bake", "--weights", "500")[1].weights == [500]
    assert cli("bake", "--weights", "null")[1].weights is None


@pytest.mark.parametrize(
    ("words", "butter"),
    [(["--butter"], True), (["--butter", "true"], True), (["--butter=false"], False), ([], False)],
)
def test_a_switch_needs_no_value(words, butter, cli):
    expected = EatOptions(loaves=[Path("a"), Path("b")], butter=butter)
    assert cli("eat", *words, "--loaves", "a", "b") == (0, expected)
    assert cli("eat", "--loaves", "a", "b", *words) == (0, expected)


def test_a_yaml_file_gives_options_and_words_after_it_win(cli, tmp_path):
    file = tmp_path / "bread.yaml"
    file.write_text("flour: wheat\nminutes: 35\nweights: [100, 200]\n")
    expected = BakeOptions(flour="wheat", minutes=45, weights=[100, 200])
    assert cli("bake", "--config", str(file), "--minutes", "45") == (0, expected)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["bake", "--minutes", "long"], "minutes"),
        (["bake", "--minutes", "0"], "--minutes 0: must be at least 1"),
        (["bake", "--flour", "sand"], "sand"),
        (["bake", "--weights", "heavy"], "weights"),
        (["bake", "--yeast", "1"], "--yeast"),
        (["bake", "--config", "/nowhere/bread.yaml"], "/nowhere/bread.yaml"),
        (["eat"], "loaves"),
        (["burn"], "burn"),
        ([], "command"),
    ],
)
def test_a_wrong_word_is_named_in_one_line(words, message, cli, capsys):
    assert cli(*words) == (2, None)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert message in lines[0]


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"minutes: long", "minutes"),
        (b"yeast: 1", "yeast"),
        (b"minutes: [", "bread.yaml"),
        (
            b"minutes: 1\nflour: rye\nminutes: 2",
            "as expected: minutes is given twice",
        ),
        (bytes(range(256)), "bread.yaml is not a YAML file"),
        (b"just words", "bread.yaml: expected lines of the form option: value"),
        (b"seeds: &a [x, x]\nweights: [*a, *a]", "line 2: aliases are not allowed"),
        (b"[" * 5000, "bread.yaml is not a YAML file"),
    ],
)
def test_a_wrong_yaml_file_is_refused_in_one_line(contents, message, cli, capsys, tmp_path):
    (tmp_path / "bread.yaml").write_bytes(contents)
    assert cli("bake", "--config", str(tmp_path / "bread.yaml")) == (2, None)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]


def test_a_yaml_file_that_aliases_would_blow_up_is_refused_before_it_is_read(cli, tmp_path):
    levels = "".join(f"k{i}: &k{i} [{f'*k{i - 1}, ' * 9}]\n" for i in range(1, 12))
    (tmp_path / "bread.yaml").write_text(f"k0: &k0 [x]\n{levels}")
    assert cli("bake", "--config", str(tmp_path / "bread.yaml")) == (2, None)


@pytest.mark.parametrize("names", [["a,b", "[c]", "d: {e}"], ["[one] run"], ["1"], ["null, x"]])
def test_names_in_lists_may_hold_what_yaml_would_understand_otherwise(names, cli):
    assert cli("bake", "--seeds", *names)[1].seeds == names
    assert cli("eat", "--loaves", *names)[1].loaves == [Path(name) for name in names]


def test_a_path_in_brackets_is_a_path_where_it_exists(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli("eat", "--loaves", "[a]")[1].loaves == [Path("a")]
    Path("[a]").mkdir()
    assert cli("eat", "--loaves", "[a]")[1].loaves == [Path("[a]")]


def test_the_parameters_of_a_function_can_be_options_too(capsys):
    def toast(bread: Path, slices: Sequence[int] = (1, 2), dark: bool = False) -> None:
        """Toast bread.

        Args:
            bread: what to toast.
            slices: which ones.
            dark: a little longer.
        """
        print(bread, slices, dark)

    commands = [Command("toast", options_of(toast), lambda options: toast(**vars(options)))]
    words = ["toast", "--bread", "rye", "--slices", "3", "4", "--dark"]
    assert run_command_line("baker", "", commands, words) == 0
    assert capsys.readouterr().out == "rye [3, 4] True\n"
    with pytest.raises(SystemExit):
        run_command_line("baker", "", commands, ["toast", "--help"])
    page = capsys.readouterr().out
    assert "Toast bread." in page and "a little longer" in page


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["--help"], ["All about bread", "bake", "Bake bread.", "Eat several loaves."]),
        (["bake", "--help"], ["Bake bread.", "time in the oven", "{rye,wheat}", "default: 50"]),
        (["eat", "--help"], ["which ones", "spread it"]),
    ],
)
def test_the_help_shows_the_docstrings(words, shown, cli, capsys):
    with pytest.raises(SystemExit) as leaving:
        cli(*words)
    assert leaving.value.code == 0
    page = capsys.readouterr().out
    assert [text for text in shown if text not in page] == []


def raising(error):
    def does(_options):
        raise error

    return does


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (UserError("flour.csv: is empty"), 2, "error: flour.csv: is empty"),
        (KeyboardInterrupt(), 130, "rerun the same command"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/tmp/x"), 2, "disk is full (/tmp/x)"),
    ],
)
def test_what_goes_wrong_is_said_in_one_line(error, status, message, cli, capsys):
    assert cli("bake", does=raising(error))[0] == status
    printed = capsys.readouterr()
    assert message in printed.err
    assert len(printed.err.strip().splitlines()) == 1
    assert printed.out == ""


@pytest.mark.parametrize("error", [ZeroDivisionError(), OSError(errno.EIO, "broken cable")])
def test_faults_of_the_programme_keep_their_traceback(error, cli):
    with pytest.raises(type(error)):
        cli("bake", does=raising(error))
