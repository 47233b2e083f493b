"""The polyp study: what is trained, evaluated, reported, predicted and generated."""

from dataclasses import dataclass, field, replace

from experiments.data.generated.polyps import write_generated
from experiments.polyp.evaluate import EvaluationOptions, evaluate_run
from experiments.polyp.predict import predict_folder
from experiments.polyp.report import main_figures, write_report
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


STUDY = replace(
    POLYP,
    grid=StudyOptions,
    evaluation=EvaluationOptions,
    evaluate=evaluate_run,
    report=write_report,
    table=main_figures,
    predict=predict_folder,
    generate=write_generated,
)
