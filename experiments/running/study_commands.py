"""The command line of a study: study, train, evaluate, report, predict, generate."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from experiments.command_line.options import (
    Options,
    check_at_least,
    check_seed,
    counted,
    options_of,
)
from experiments.command_line.parser import Command, run_command_line
from experiments.running.checkpoints import require_study
from experiments.running.grid import run_grid
from experiments.running.study import Study, train_run


@dataclass(frozen=True, kw_only=True)
class ReportOptions(Options):
    """Compare evaluated runs in one HTML page."""

    runs: list[Path]
    """run folders; runs that differ in the seed alone are shown as one network"""
    out: Path
    """folder for report.html and report.json"""


def commands_of(study: Study) -> list[Command]:
    """The commands of a study: those for which it says what to do."""

    @dataclass(frozen=True, kw_only=True)
    class EvaluateOptions(study.evaluation):
        """Evaluate a finished run on its test samples."""

        run: Path
        """run folder"""

    def evaluate(options: EvaluateOptions) -> None:
        require_study(options.run, study.name)
        evaluation = study.evaluate(options.run, options.part(study.evaluation))
        dice = evaluation["scores"]["dice"]["mean"]
        print(f"{options.run / 'evaluation'}: mean Dice {dice:.3f} on the test {study.samples}")

    def report(options: ReportOptions) -> None:
        for run in options.runs:
            require_study(run, study.name)
        print(f"report: {study.report(options.runs, options.out, None)}")

    def predict(options: Any) -> None:
        require_study(options.checkpoint, study.name)
        print(f"{options.out}: {counted(len(study.predict(**vars(options))), 'masks')}")

    def generate(options: Any) -> None:
        for option in {"count", "size"} & set(vars(options)):
            check_at_least(option, getattr(options, option), 1)
        check_seed("seed", getattr(options, "seed", 0))
        study.generate(**vars(options))
        print(f"{options.out}: {counted(options.count, f'generated {study.samples}')}")

    commands = [
        Command("study", study.grid, partial(run_grid, study)),
        Command("train", study.train, partial(train_run, study)),
        Command("evaluate", study.evaluate and EvaluateOptions, evaluate),
        Command("report", study.report and ReportOptions, report),
        Command("predict", study.predict and options_of(study.predict), predict),
        Command("generate", study.generate and options_of(study.generate), generate),
    ]
    return [command for command in commands if command.options is not None]


def run_study_command(study: Study, arguments: Sequence[str] | None = None) -> int:
    """Runs the command in `arguments` (default: of the process) and returns the exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    about = f"{study.about} `study` does everything; the other commands are its parts."
    return run_command_line(study.command, about, commands_of(study), words)
