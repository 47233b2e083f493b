"""A study trains and evaluates every run once, and writes one report."""

import json
import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from rich.table import Table
from torch import nn

from experiments.command_line.options import Options, counted
from experiments.command_line.parser import Command, run_command_line
from experiments.command_line.typed import command
from experiments.common.errors import UserError
from experiments.common.files import write_json
from experiments.running import grid
from experiments.running.grid import GridOptions, run_grid
from experiments.running.run_folder import RunFolder
from experiments.running.study import Study
from experiments.running.study_commands import run_study_command
from experiments.running.training_options import CommonOptions, TrainOptions


@dataclass(frozen=True, kw_only=True)
class Evaluation(Options):
    """How these are evaluated."""

    device: str = "auto"
    thorough: bool = False


@dataclass(frozen=True, kw_only=True)
class Grid(Evaluation, CommonOptions, GridOptions):
    """Networks by seeds."""

    TRAIN = TrainOptions


@pytest.fixture
def study(monkeypatch):
    """A study whose steps only write the files that say they are done, and are recorded."""
    done = []

    def train(_study, training):
        folder = RunFolder(training.out)
        if not folder.finished:
            folder.prepare(training.config())
            write_json(folder.result_file, {})
            done.append(f"train {training.out.name}")

    def evaluate(run, options):
        write_json(run / "evaluation" / "evaluation.json", {"options": options.to_dict()})
        done.append(f"evaluate {run.name}")
        return {"scores": {"dice": {"mean": 0.5}}}

    def report(runs, out, typed):
        done.append(f"report {len(runs)}: {typed}")
        return out / "report.html"

    monkeypatch.setattr(grid, "train_run", train)
    made = Study(
        name="dots",
        samples="dots",
        about="Dots.",
        train=TrainOptions,
        data=dict,
        network_arguments=lambda options, data: {},
        build_network=nn.Identity,
        grid=Grid,
        evaluation=Evaluation,
        evaluate=evaluate,
        report=report,
        table=lambda runs: Table(),
    )
    object.__setattr__(made, "done", done)
    return made


def test_every_run_is_done_once_and_reported(study, tmp_path):
    run_grid(study, Grid(out=tmp_path, networks=["a", "b"], seeds=[0, 3]))
    typed = f"python -m experiments.dots study --out {tmp_path} --networks a b --seeds 0 3"
    names = ["a-seed0", "b-seed0", "a-seed3", "b-seed3"]
    steps = [f"{step} {name}" for name in names for step in ("train", "evaluate")]
    assert study.done == [*steps, f"report 4: {typed}"]
    run_grid(study, Grid(out=tmp_path, networks=["a", "b"], seeds=[0, 3], engine="sequential"))
    assert study.done[len(steps) + 1 :] == [f"report 4: {typed}"]


def test_a_study_outside_the_experiments_says_what_is_typed_for_it(study, tmp_path, capsys):
    outside = replace(study, program="python dots.py")
    run_grid(outside, Grid(out=tmp_path, networks=["a"]))
    assert f"report 1: python dots.py study --out {tmp_path} --networks a" in str(study.done)
    assert run_study_command(outside, ["cook"]) == 2
    assert "see python dots.py --help" in capsys.readouterr().err


def test_runs_are_evaluated_again_in_another_way_but_not_on_another_device(study, tmp_path):
    for changes in ({}, {"device": "cuda:1"}, {"thorough": True}):
        run_grid(study, Grid(out=tmp_path, networks=["a"], **changes))
    assert study.done.count("train a-seed0") == 1
    assert study.done.count("evaluate a-seed0") == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"networks": ["a", "a"]}, "--networks a a: name at least one, and none twice"),
        ({"networks": []}, "--networks"),
        ({"seeds": [0, -2]}, "--seeds -2"),
        ({"seeds": [2**64]}, "--seeds 18446744073709551616: must be at most"),
        ({"patience": -1}, "--patience -1"),
        ({"cpus": 0}, "--cpus 0: must be greater"),
        ({"gpus": -1}, "--gpus -1"),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused(changes, message, tmp_path):
    with pytest.raises(UserError, match=message):
        Grid(**{"out": tmp_path, "networks": ["a"]} | changes)


def save_checkpoint(run: Path, study: str, weight: float = 0.0) -> None:
    folder = RunFolder(run)
    record = {"format": 1, "study": study, "network": {}, "options": {}}
    folder.best.parent.mkdir(parents=True)
    state = {"network.weight": torch.tensor([weight])}
    torch.save({"gcnn": record, "state_dict": state}, folder.best)


@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "--run", "theirs"],
        ["report", "--runs", "ours", "theirs", "--out", "page"],
        ["predict", "--checkpoint", "theirs", "--out", "masks"],
        ["predict", "--checkpoint", "theirs/checkpoints/best.ckpt", "--out", "masks"],
    ],
)
def test_a_run_of_another_study_is_refused_by_name(study, words, tmp_path, monkeypatch, capsys):
    def predict(checkpoint: Path, out: Path) -> list[Path]:
        """Write masks."""
        return [out]

    monkeypatch.chdir(tmp_path)
    save_checkpoint(Path("ours"), "dots")
    save_checkpoint(Path("theirs"), "stripes")
    study_of_all = replace(study, predict=predict)
    assert run_study_command(study_of_all, words) == 2
    message = capsys.readouterr().err
    assert "theirs" in message and "a run of the study 'stripes'; give one of 'dots'" in message
    assert study.done == []
    assert run_study_command(study_of_all, ["predict", "--checkpoint", "ours", "--out", "m"]) == 0
    assert capsys.readouterr().out == "m: 1 mask\n"


def test_a_study_has_the_commands_that_it_says_how_to_do(study, capsys):
    assert run_study_command(study, ["generate", "--out", "x"]) == 2
    assert "generate" in capsys.readouterr().err


@pytest.mark.parametrize(("number", "said"), [(0, "0 masks"), (1, "1 mask"), (2, "2 masks")])
def test_one_is_not_said_in_the_plural(number, said):
    assert counted(number, "masks") == said


@dataclass(frozen=True, kw_only=True)
class Many(Options):
    """Options of every kind."""

    out: Path
    names: list[str] = field(default_factory=lambda: ["a"])
    widths: list[int] | None = None
    lit: bool = False
    step: float = 1.5


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"names": ["b", "c d"], "widths": [1, 2], "lit": True, "step": 2.0},
        {"names": ["a,b", "[c]", "d: {e}"], "widths": None, "lit": False},
    ],
)
def test_the_command_that_is_shown_gives_the_same_options(changes):
    options = Many(out=Path("a folder"), **changes)
    for values in (vars(options), json.loads(json.dumps(options.to_dict()))):
        typed = command("python -m experiments.polyp", "cook", Many, values)
        understood = []
        words = shlex.split(typed)
        assert words[:4] == ["python", "-m", "experiments.polyp", "cook"]
        cook = Command("cook", Many, understood.append)
        assert run_command_line("polyp", "", [cook], words[3:]) == 0
        assert understood == [options]


def test_defaults_and_what_is_left_out_are_not_typed():
    values = vars(Many(out=Path("x"), step=2.0))
    typed = command("python dots.py", "cook", Many, values, left_out=["step"])
    assert typed == "python dots.py cook --out x"
