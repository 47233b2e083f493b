"""The whole tumour study: a grid of networks, cases, augmentation and seeds in one report."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Table

from experiments.common.findings import shortened, with_spread
from experiments.common.options import check_at_least
from experiments.common.repeat import command
from experiments.common.study import GridOptions, Steps, check_distinct, run_study
from experiments.data.augmentation import VolumeChange
from experiments.tumour.comparison import compare, load_runs
from experiments.tumour.evaluate import EvaluationOptions, evaluate_run
from experiments.tumour.networks import check_network
from experiments.tumour.options import CommonOptions
from experiments.tumour.report import write_report
from experiments.tumour.train import TrainOptions, train

__all__ = ["StudyOptions", "study"]


@dataclass(frozen=True, kw_only=True)
class StudyOptions(EvaluationOptions, CommonOptions, GridOptions):
    """Train several networks on several numbers of cases, evaluate each and write the report."""

    networks: list[str] = field(
        default_factory=lambda: ["plain_parameters", "plain_width", "scale_mean"]
    )
    """networks to compare: scale_mean, scale_max, plain, plain_parameters, plain_width"""
    channels: list[int] | None = field(default_factory=lambda: [4, 8])
    """widths of the scale-equivariant networks; the others follow. null: 4 8 16 32"""
    train_cases: list[int] = field(default_factory=lambda: [16])
    """train every network on each of these numbers of cases"""
    augment: list[VolumeChange] = field(default_factory=lambda: ["none"])
    """train every network with each of these: none, flip, scale"""
    # Enough for each of them to learn the generated data, and little enough for two cores.
    count: int = 32
    size: int = 32
    validation_cases: int | None = 4
    test_cases: int | None = 8
    steps: int = 192
    validations: int = 4
    learning_rate: float = 3e-2

    def check(self) -> None:
        """Raises `UserError` for a network that does not exist, or something named twice."""
        check_distinct("train_cases", self.train_cases)
        check_at_least("train_cases", min(self.train_cases), 1)
        check_distinct("augment", self.augment)
        for network in self.networks:
            check_network(network, self.channels)

    def trainings(self) -> list[TrainOptions]:
        """The options of every single training; what is to be compared stands together."""
        shared = vars(self.part(CommonOptions))
        return [
            TrainOptions(
                **shared,
                out=self.out / f"{network}-{cases}cases-{augment}-seed{seed}",
                network=network,
                channels=self.channels,
                train_cases=cases,
                augment=augment,
                seed=seed,
            )
            for seed in self.seeds
            for cases in self.train_cases
            for augment in self.augment
            for network in self.networks
        ]

    def command(self) -> str:
        """What to type to repeat the study, in one process."""
        return command("tumour", "study", type(self), vars(self), left_out=["shard"])


def study(options: StudyOptions) -> None:
    """Trains and evaluates what is not yet done, writes the report and prints its main figures.

    Raises:
        UserError: bad data, or a folder that holds something else or runs with other options.
        KeyboardInterrupt: stopped by the user; the same options continue the study.
    """
    steps = Steps(train, evaluate_run, write_report, _table)
    evaluation = options.part(EvaluationOptions)
    run_study(options, options.trainings(), evaluation, steps, options.command())


def _table(runs: Sequence[Path]) -> Table:
    members = [member for one in compare(load_runs(runs)) for member in one.members]
    scales = members[0].scales
    table = Table(title="Tumour study, Dice of the test cases at several scales")
    table.add_column("network")
    for column in ("cases", "size", *(f"at {scale:g}" for scale in scales)):
        table.add_column(column, justify="right")
    for member in members:
        table.add_row(
            member.label,
            str(member.trained_on),
            shortened(member.runs[0].evaluation["cost"]["parameters"]),
            *(with_spread(point) for point in member.curve("resampled", "dice")),
        )
    return table
