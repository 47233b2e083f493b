"""The command line of a study: study, train, evaluate, report, predict, generate."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from experiments.command_line.options import Options, check_at_least, check_seed, counted
from experiments.command_line.parser import Command, run_command_line
from experiments.running.checkpoints import require_study
from experiments.running.grid import run_grid
from experiments.running.study import Study, train_run


@dataclass(frozen=True, kw_only=True)
class RunToEvaluate(Options):
    """Evaluate a finished run on its test samples."""

    run: Path
    """run folder"""


def commands_of(study: Study) -> list[Command]:
    """The commands of a study: those for which it says what to do."""

    def evaluate(what: RunToEvaluate, options: Options) -> None:
        require_study(what.run, study.name)
        dice = study.evaluate(what.run, options)["scores"]["dice"]["mean"]
        print(f"{what.run / 'evaluation'}: mean Dice {dice:.3f} on the test {study.samples}")

    def report(runs: list[Path], out: Path) -> None:
        """Compare evaluated runs in one HTML page.

        Args:
            runs: run folders; runs that differ in the seed alone are shown as one network
            out: folder for report.html and report.json
        """
        for run in runs:
            require_study(run, study.name)
        print(f"report: {study.report(runs, out, None)}")

    def predict(**values: Any) -> None:
        require_study(values["checkpoint"], study.name)
        print(f"{values['out']}: {counted(len(study.predict(**values)), 'masks')}")

    def generate(**values: Any) -> None:
        for option in {"count", "size"} & set(values):
            check_at_least(option, values[option], 1)
        check_seed("seed", values.get("seed", 0))
        study.generate(**values)
        print(f"{values['out']}: {counted(values['count'], f'generated {study.samples}')}")

    commands = [
        (study.grid, Command("study", [study.grid], partial(run_grid, study))),
        (study.train, Command("train", [study.train], partial(train_run, study))),
        (study.evaluate, Command("evaluate", [RunToEvaluate, study.evaluation], evaluate)),
        (study.report, Command("report", [report], report)),
        (study.predict, Command("predict", [study.predict], predict)),
        (study.generate, Command("generate", [study.generate], generate)),
    ]
    return [command for what, command in commands if what is not None]


def run_study_command(study: Study, arguments: Sequence[str] | None = None) -> int:
    """Runs the command in `arguments` (default: of the process) and returns the exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    about = f"{study.about} `study` does everything; the other commands are its parts."
    return run_command_line(study.command, about, commands_of(study), words)
