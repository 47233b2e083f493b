"""The whole polyp study: several networks trained, evaluated and compared in one report."""

from dataclasses import dataclass, field

from experiments.common.study import GridOptions, Steps, run_study
from experiments.polyp.evaluate import EvaluationOptions, evaluate_run
from experiments.polyp.networks import check_network
from experiments.polyp.options import CommonOptions
from experiments.polyp.report import main_figures, write_report
from experiments.polyp.train import TrainOptions, train
from experiments.results.repeat import command

__all__ = ["StudyOptions", "study"]


@dataclass(frozen=True, kw_only=True)
class StudyOptions(EvaluationOptions, CommonOptions, GridOptions):
    """Train several networks in turn, evaluate each and write the report."""

    networks: list[str] = field(default_factory=lambda: ["plain", "p4", "steerable_8"])
    """networks to compare"""
    channels: list[int] | None = field(default_factory=lambda: [8, 16, 32, 64])
    """widths of the plain U-Net; the others get as many parameters. null: each its full widths"""
    # Enough for each of them to learn the generated data, and little enough for two cores.
    size: int = 64
    max_epochs: int = 12
    learning_rate: float = 1e-2

    def check(self) -> None:
        """Raises `UserError` for a network that does not exist or does not fit the size."""
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
        """What to type to repeat the study, in one process."""
        return command("polyp", "study", type(self), vars(self), left_out=["shard"])


def study(options: StudyOptions) -> None:
    """Trains and evaluates what is not yet done, writes the report and prints its main figures.

    Raises:
        UserError: bad data, or a folder that holds something else or runs with other options.
        KeyboardInterrupt: stopped by the user; the same options continue the study.
    """
    steps = Steps(train, evaluate_run, write_report, main_figures)
    evaluation = options.part(EvaluationOptions)
    run_study(options, options.trainings(), evaluation, steps, options.command())
