"""`python -m experiments.tumour`: the command line of the tumour study."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.common.cli import Command, run_command_line
from experiments.common.commands import (
    GenerateOptions,
    PredictOptions,
    ReportOptions,
    WhatToEvaluate,
)
from experiments.common.options import check_positive
from experiments.data.generated.tumours import write_generated
from experiments.tumour.evaluate import EvaluationOptions, evaluate_run
from experiments.tumour.options import check_cube
from experiments.tumour.predict import predict_cases
from experiments.tumour.report import write_report
from experiments.tumour.study import StudyOptions, study
from experiments.tumour.train import TrainOptions, train

PROGRAM = "python -m experiments.tumour"
DESCRIPTION = (
    "Scale-equivariant and ordinary 3D U-Nets on brain tumours in MRI. "
    "`study` does everything; the other commands are its parts."
)


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(EvaluationOptions, WhatToEvaluate):
    """Evaluate a finished run on its test cases, at several scales."""


@dataclass(frozen=True, kw_only=True)
class PredictVolumesOptions(PredictOptions):
    """Write the masks of volumes as NIfTI on their own grids, and pictures of them."""

    inputs: list[Path]
    """folders of cases, or the NIfTI files of one case"""
    tile: int | None = None
    """edge in voxels of the cubes through which larger volumes are seen; null: as in training"""

    def check(self) -> None:
        """Raises `UserError` for cubes that the networks cannot take."""
        check_cube("tile", self.tile)


@dataclass(frozen=True, kw_only=True)
class GenerateVolumesOptions(GenerateOptions):
    """Write generated volumes and segmentations to a folder, in the layout of BraTS 2021."""

    count: int = 48
    """number of cases"""
    size: int = 48
    """edge of a volume in voxels"""
    spacing: float = 2.0
    """edge of a voxel in millimetres"""

    def check(self) -> None:
        """Raises `UserError` for a value out of range."""
        check_positive("spacing", self.spacing)


def evaluate(options: EvaluateOptions) -> None:
    """Evaluates a run and says where the results are."""
    scores = evaluate_run(options.run, options.part(EvaluationOptions))["scores"]
    print(f"{options.run / 'evaluation'}: mean Dice {scores['dice']['mean']:.3f} on the test cases")


def report(options: ReportOptions) -> None:
    """Writes the report and says where it is."""
    print(f"report: {write_report(options.runs, options.out)}")


def predict(options: PredictVolumesOptions) -> None:
    """Predicts the masks and says where they are."""
    masks = predict_cases(
        options.checkpoint,
        options.inputs,
        options.out,
        options.overwrite,
        options.device,
        options.tile,
    )
    print(f"{options.out}: {len(masks)} masks")


def generate(options: GenerateVolumesOptions) -> None:
    """Writes generated data and says where it is."""
    write_generated(options.out, options.count, options.size, options.spacing, options.seed)
    print(f"{options.out}: {options.count} generated cases of {options.size} voxels")


COMMANDS = (
    Command("study", StudyOptions, study),
    Command("train", TrainOptions, train),
    Command("evaluate", EvaluateOptions, evaluate),
    Command("report", ReportOptions, report),
    Command("predict", PredictVolumesOptions, predict),
    Command("generate", GenerateVolumesOptions, generate),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command in `arguments` (default: of the process) and returns the exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    return run_command_line(PROGRAM, DESCRIPTION, COMMANDS, words)


if __name__ == "__main__":
    sys.exit(main())
