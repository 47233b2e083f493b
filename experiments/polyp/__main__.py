"""`python -m experiments.polyp`: the command line of the polyp study."""

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
from experiments.data.generated.polyps import write_generated
from experiments.polyp.evaluate import EvaluationOptions, evaluate_run
from experiments.polyp.predict import predict_folder
from experiments.polyp.report import write_report
from experiments.polyp.study import StudyOptions, study
from experiments.polyp.train import TrainOptions, train

PROGRAM = "python -m experiments.polyp"
DESCRIPTION = (
    "Rotation-equivariant and ordinary U-Nets on polyps in colonoscopy images. "
    "`study` does everything; the other commands are its parts."
)


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(EvaluationOptions, WhatToEvaluate):
    """Evaluate a finished run on its test images."""


@dataclass(frozen=True, kw_only=True)
class PredictImagesOptions(PredictOptions):
    """Write masks and overlays for a folder of images, at the size of the images."""

    images: Path
    """folder of images of any size"""


@dataclass(frozen=True, kw_only=True)
class GenerateImagesOptions(GenerateOptions):
    """Write generated images and masks to a folder, in the layout of Kvasir-SEG."""

    count: int = 240
    """number of images"""
    size: int = 96
    """side of an image in pixels"""
    lit: bool = False
    """give the images a fixed direction of light, polyps and folds"""


def evaluate(options: EvaluateOptions) -> None:
    """Evaluates a run and says where the results are."""
    scores = evaluate_run(options.run, options.part(EvaluationOptions))["scores"]
    print(
        f"{options.run / 'evaluation'}: mean Dice {scores['dice']['mean']:.3f} on the test images"
    )


def report(options: ReportOptions) -> None:
    """Writes the report and says where it is."""
    print(f"report: {write_report(options.runs, options.out)}")


def predict(options: PredictImagesOptions) -> None:
    """Predicts the masks and says where they are."""
    masks = predict_folder(
        options.checkpoint, options.images, options.out, options.overwrite, options.device
    )
    print(f"{options.out}: {len(masks)} masks")


def generate(options: GenerateImagesOptions) -> None:
    """Writes generated data and says where it is."""
    write_generated(options.out, options.count, options.size, options.seed, options.lit)
    print(f"{options.out}: {options.count} generated images of {options.size} px")


COMMANDS = (
    Command("study", StudyOptions, study),
    Command("train", TrainOptions, train),
    Command("evaluate", EvaluateOptions, evaluate),
    Command("report", ReportOptions, report),
    Command("predict", PredictImagesOptions, predict),
    Command("generate", GenerateImagesOptions, generate),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command in `arguments` (default: of the process) and returns the exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    return run_command_line(PROGRAM, DESCRIPTION, COMMANDS, words)


if __name__ == "__main__":
    sys.exit(main())
