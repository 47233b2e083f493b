"""The whole polyp study: several networks trained, evaluated and compared in one report."""

import shlex
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from pytorch_lightning.utilities.rank_zero import rank_zero_only
from rich.console import Console
from rich.table import Table

from experiments.common.errors import UserError
from experiments.common.files import read_json
from experiments.common.options import Options, check_at_least
from experiments.common.training import announce
from experiments.polyp.comparison import compare, load_runs
from experiments.polyp.evaluate import EvaluationOptions, evaluate_run
from experiments.polyp.networks import check_network
from experiments.polyp.options import CommonOptions
from experiments.polyp.report import write_report
from experiments.polyp.train import TrainOptions, train


@dataclass(frozen=True, kw_only=True)
class WhatToCompare(Options):
    """The networks of a study."""

    out: Path
    """folder of the study; given again with the same options, it is continued"""
    networks: list[str] = field(default_factory=lambda: ["plain", "p4", "steerable_8"])
    """networks to compare"""
    channels: list[int] | None = field(default_factory=lambda: [8, 16, 32, 64])
    """widths of the plain U-Net; the others get as many parameters. null: each its full widths"""
    seeds: list[int] = field(default_factory=lambda: [0])
    """train every network once with each of these seeds"""


@dataclass(frozen=True, kw_only=True)
class StudyOptions(EvaluationOptions, CommonOptions, WhatToCompare):
    """Train several networks in turn, evaluate each and write the report."""

    # Enough for each of them to learn the generated data, and little enough for two cores.
    size: int = 64
    max_epochs: int = 12
    learning_rate: float = 1e-2

    def check(self) -> None:
        """Raises `UserError` for a network that does not exist or does not fit the size."""
        for name, values in (("networks", self.networks), ("seeds", self.seeds)):
            if not values or len(set(values)) < len(values):
                typed = " ".join(map(str, values))
                raise UserError(f"--{name} {typed}: name at least one, and none twice")
        check_at_least("seeds", min(self.seeds), 0)
        for network in self.networks:
            check_network(network, self.channels, self.size)

    def trainings(self) -> list[TrainOptions]:
        """The options of every single training."""
        shared = vars(self.part(CommonOptions))
        return [
            TrainOptions(
                **shared,
                out=self.out / f"{network}-seed{seed}",
                network=network,
                channels=self.channels,
                seed=seed,
            )
            for seed in self.seeds
            for network in self.networks
        ]

    def command(self) -> str:
        """What to type to repeat the study."""
        words = ["python", "-m", "experiments.polyp", "study"]
        for option in fields(self):
            value, default = getattr(self, option.name), option.default
            if option.default_factory is not MISSING:
                default = option.default_factory()
            if value != default:
                values = value if isinstance(value, list) else [value]
                words += [f"--{option.name}", *("null" if v is None else str(v) for v in values)]
        return shlex.join(words)


def study(options: StudyOptions) -> None:
    """Trains and evaluates what is not yet done, writes the report and prints its main figures.

    Raises:
        UserError: bad data, or a folder that holds something else or runs with other options.
        KeyboardInterrupt: stopped by the user; the same options continue the study.
    """
    trainings = options.trainings()
    evaluation = options.part(EvaluationOptions)
    for number, training in enumerate(trainings, start=1):
        announce(f"[{number}/{len(trainings)}] {training.network}, seed {training.seed}")
        train(training)
        _evaluate(training.out, evaluation)
    _report(options, [training.out for training in trainings])


# Of the processes of a training on several devices only one evaluates; the others go on to the next
# training and wait there.
@rank_zero_only
def _evaluate(run: Path, options: EvaluationOptions) -> None:
    if not _evaluated(run, options):
        evaluate_run(run, options)


@rank_zero_only
def _report(options: StudyOptions, runs: Sequence[Path]) -> None:
    page = write_report(runs, options.out, options.command())
    _print_table(runs)
    print(f"report: {page}")


def _evaluated(run: Path, options: EvaluationOptions) -> bool:
    file = run / "evaluation" / "evaluation.json"
    return file.exists() and bool(read_json(file)["options"] == options.to_dict())


def _print_table(folders: Sequence[Path]) -> None:
    table = Table(title="Polyp study, test images")
    table.add_column("network")
    for column in ("parameters", "Dice", "equivariance 90°", "equivariance between"):
        table.add_column(column, justify="right")
    for network in compare(load_runs(folders)):
        mean, spread = network.score("dice")
        table.add_row(
            network.label,
            f"{network.runs[0].evaluation['cost']['parameters']:,}",
            f"{mean:.3f}" + ("" if spread is None else f" ± {spread:.3f}"),
            _fixed(network.turned("agreement", "quarter")["mean"]),
            _fixed(network.turned("agreement", "between")["mean"]),
        )
    Console().print(table)


def _fixed(value: Any) -> str:
    return "–" if value is None else f"{value:.4f}"
