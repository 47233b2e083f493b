"""The polyp study: what is trained, evaluated, reported, predicted and generated."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.table import Table

from experiments.common.findings import fixed, with_spread
from experiments.polyp.comparison import compare, load_runs
from experiments.polyp.evaluate import EvaluationOptions, evaluate_run
from experiments.polyp.generated import write_generated
from experiments.polyp.predict import predict_folder
from experiments.polyp.report import write_report
from experiments.polyp.train import POLYP, CommonOptions, TrainOptions
from experiments.running.grid import GridOptions


@dataclass(frozen=True, kw_only=True)
class StudyOptions(EvaluationOptions, CommonOptions, GridOptions):
    """Train several networks, evaluate each and write the report."""

    TRAIN = TrainOptions

    networks: list[str] = field(default_factory=lambda: ["plain", "p4", "steerable_8"])
    """networks to compare"""
    channels: list[int] | None = field(default_factory=lambda: [8, 16, 32, 64])
    """widths of the plain U-Net; the others get as many parameters. null: each its full widths"""
    # Enough for each of them to learn the generated data, and little enough for two cores.
    size: int = 64
    max_epochs: int = 12
    learning_rate: float = 1e-2


def generate(out: Path, count: int = 240, size: int = 96, seed: int = 0, lit: bool = False) -> None:
    """Write generated images and masks to a folder, in the layout of Kvasir-SEG.

    Args:
        out: new or empty folder.
        count: number of images.
        size: side of an image in pixels.
        seed: other seeds give other images.
        lit: give the images a fixed direction of light, polyps and folds.
    """
    write_generated(out, count, size, seed, lit)


def main_figures(runs: Sequence[Path]) -> Table:
    """One line for each network."""
    table = Table(title="Polyp study, test images")
    table.add_column("network")
    for column in ("parameters", "Dice", "equivariance 90°", "equivariance between"):
        table.add_column(column, justify="right")
    for network in compare(load_runs(runs)):
        table.add_row(
            network.label,
            f"{network.runs[0].evaluation['cost']['parameters']:,}",
            with_spread(network.score("dice")),
            fixed(network.turned("agreement", "quarter")["mean"], 4),
            fixed(network.turned("agreement", "between")["mean"], 4),
        )
    return table


STUDY = replace(
    POLYP,
    grid=StudyOptions,
    evaluation=EvaluationOptions,
    evaluate=evaluate_run,
    report=write_report,
    table=main_figures,
    predict=predict_folder,
    generate=generate,
)
