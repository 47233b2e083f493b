"""A study shared by several processes does every run once, and one report when all are done."""

import json
import os
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rich.table import Table

from experiments.common.cli import Command, run_command_line
from experiments.common.errors import UserError
from experiments.common.files import write_json
from experiments.common.options import Options
from experiments.common.runs import RunFolder
from experiments.common.study import GridOptions, Steps, run_study
from experiments.common.train import TrainOptions
from experiments.results.repeat import command

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True, kw_only=True)
class Evaluation(Options):
    """How these are evaluated."""

    device: str = "auto"
    thorough: bool = False


class Recorder:
    """The steps of a study, which write the files that say they are done, and are counted."""

    def __init__(self, in_between=lambda training: None):
        self.done = []
        self.in_between = in_between
        self.steps = Steps(self.train, self.evaluate, self.report, lambda runs: Table())

    def train(self, training):
        folder = RunFolder(training.out)
        if folder.finished:
            return
        folder.prepare(training.config())
        self.in_between(training)
        write_json(folder.result_file, {})
        self.done.append(("train", training.out.name))

    def evaluate(self, run, options):
        write_json(run / "evaluation" / "evaluation.json", {"options": options.to_dict()})
        self.done.append(("evaluate", run.name))

    def report(self, runs, out, typed):
        self.done.append(("report", typed))
        return out / "report.html"

    def study(self, out, shard="1/1", evaluation=Evaluation(), epochs=1):
        options = GridOptions(out=out, networks=["a", "b", "c"], shard=shard)
        run_study(options, trainings(out, epochs), evaluation, self.steps, "again")


def trainings(out, epochs=1):
    return [TrainOptions(out=out / name, network=name, max_epochs=epochs) for name in "abc"]


def all_of(name):
    return [("train", name), ("evaluate", name)]


def test_every_run_is_done_once_and_reported(tmp_path):
    first, second = Recorder(), Recorder()
    first.study(tmp_path)
    second.study(tmp_path)
    assert first.done == [*all_of("a"), *all_of("b"), *all_of("c"), ("report", "again")]
    assert second.done == [("report", "again")]


def test_shares_divide_the_runs_and_the_last_one_reports(tmp_path, capsys):
    done = []
    for shard in ("2/2", "1/2"):
        recorder = Recorder()
        recorder.study(tmp_path, shard)
        done.append(recorder.done)
    assert done == [all_of("b"), [*all_of("a"), *all_of("c"), ("report", "again")]]
    assert "2 of 3 runs are still to be done or at work (a, c)" in capsys.readouterr().out


def test_a_run_that_another_process_holds_is_left_to_it(tmp_path, capsys):
    inner = Recorder()

    def meanwhile(training):
        if training.out.name == "b" and not inner.done:
            inner.study(tmp_path)

    outer = Recorder(meanwhile)
    outer.study(tmp_path)
    assert inner.done == all_of("c")
    assert outer.done == [*all_of("a"), *all_of("b"), ("report", "again")]
    assert "[2/3] b: another process is at it" in capsys.readouterr().out


def die_in_the_middle(out):
    Recorder(lambda training: os.kill(os.getpid(), signal.SIGKILL)).study(Path(out))


def test_a_killed_process_gives_its_run_back(tmp_path):
    script = (
        f"from tests.experiments import test_study as t; t.die_in_the_middle({str(tmp_path)!r})"
    )
    killed = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / ".claims" / "a.lock").exists()
    recorder = Recorder()
    recorder.study(tmp_path)
    assert recorder.done[:2] == all_of("a") and len(recorder.done) == 7


def test_processes_may_evaluate_on_a_device_each_but_not_in_another_way(tmp_path):
    Recorder().study(tmp_path, evaluation=Evaluation(device="cpu"))
    other_device, other_way = Recorder(), Recorder()
    other_device.study(tmp_path, evaluation=Evaluation(device="cuda:1"))
    other_way.study(tmp_path, evaluation=Evaluation(thorough=True))
    assert other_device.done == [("report", "again")]
    assert [what for what, _ in other_way.done] == ["evaluate"] * 3 + ["report"]


def test_shares_with_other_options_are_not_reported_together(tmp_path):
    Recorder().study(tmp_path, "2/2", epochs=5)
    with pytest.raises(UserError, match="max_epochs: 5 there, 1 now"):
        Recorder().study(tmp_path, "1/2", epochs=1)


@pytest.mark.parametrize("shard", ["0/2", "3/2", "2", "a/b", "1/", "/1", "-1/2", "²/2"])
def test_a_share_that_does_not_exist_is_refused(shard, tmp_path):
    with pytest.raises(UserError, match=r"--shard .*: give 1/4, 2/4, 3/4 or 4/4"):
        GridOptions(out=tmp_path, networks=["a"], shard=shard)


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
        {"names": ["a"], "widths": None, "lit": False},
    ],
)
def test_the_command_that_is_shown_gives_the_same_options(changes):
    options = Many(out=Path("a folder"), **changes)
    for values in (vars(options), json.loads(json.dumps(options.to_dict()))):
        typed = command("polyp", "cook", Many, values)
        understood = []
        words = shlex.split(typed)
        assert words[:4] == ["python", "-m", "experiments.polyp", "cook"]
        cook = Command("cook", Many, understood.append)
        assert run_command_line("polyp", "", [cook], words[3:]) == 0
        assert understood == [options]


def test_defaults_and_what_is_left_out_are_not_typed():
    values = vars(Many(out=Path("x"), step=2.0))
    assert command("polyp", "cook", Many, values, left_out=["step"]).endswith("cook --out x")
