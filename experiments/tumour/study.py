"""The tumour study: what is trained, evaluated, reported, predicted and generated."""

from dataclasses import dataclass, field, replace

from experiments.data.augmentation import VolumeChange
from experiments.data.generated.tumours import write_generated
from experiments.running.grid import GridOptions
from experiments.tumour.evaluate import EvaluationOptions, evaluate_run
from experiments.tumour.predict import predict_cases
from experiments.tumour.report import main_figures, write_report
from experiments.tumour.train import TUMOUR, CommonOptions, TrainOptions


@dataclass(frozen=True, kw_only=True)
class StudyOptions(EvaluationOptions, CommonOptions, GridOptions):
    """Train several networks on several numbers of cases, evaluate each and write the report."""

    TRAIN = TrainOptions
    AXES = (
        ("seeds", "seed"),
        ("train_cases", "train_cases"),
        ("augment", "augment"),
        ("networks", "network"),
    )
    FOLDER = "{network}-{train_cases}cases-{augment}-seed{seed}"

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


STUDY = replace(
    TUMOUR,
    grid=StudyOptions,
    evaluation=EvaluationOptions,
    evaluate=evaluate_run,
    report=write_report,
    table=main_figures,
    predict=predict_cases,
    generate=write_generated,
)
