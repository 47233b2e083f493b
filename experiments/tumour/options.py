"""The options of the tumour study that several of its commands share."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from experiments.common.errors import UserError
from experiments.common.options import Options, check_at_least, check_positive
from experiments.common.training import HardwareOptions, TrainingOptions
from experiments.data.augmentation import VolumeChange
from experiments.tumour.data import MULTIPLE, DatasetName


def check_cube(name: str, edge: int | None) -> None:
    """Raises `UserError` unless every network takes cubes of this edge; None stands for another."""
    if edge is not None and (edge < MULTIPLE or edge % MULTIPLE):
        raise UserError(f"--{name} {edge}: must be a multiple of {MULTIPLE}")


@dataclass(frozen=True, kw_only=True)
class DataOptions(Options):
    """The volumes."""

    dataset: DatasetName = "generated"
    """generated needs no download; the others are read from --root"""
    root: Path | None = None
    """folder of the data set: a folder for each case (brats), or with imagesTr/ (msd, nnunet)"""
    modalities: list[str] | None = None
    """which to use, such as flair t1ce; null: all there are"""
    regions: list[str] | None = None
    """what to outline, by name, or all; null: the whole of a brain tumour, of other data all"""
    spacing: float = 2.0
    """edge of the voxels to which volumes are brought, in millimetres"""
    validation_cases: int | None = None
    """cases to choose the best epoch by; null: 15 %"""
    test_cases: int | None = None
    """cases for the test; null: 15 %"""
    cache: Path | None = None
    """folder for prepared volumes that do not fit into memory; null: in memory"""
    patch: int | None = None
    """train on cubes of this edge in voxels, a multiple of 16; null: on whole volumes"""
    count: int = 48
    """number of volumes to generate"""
    size: int = 48
    """edge of generated volumes in voxels"""
    batch_size: int = 1
    """volumes or cubes in a step"""
    workers: int = 0
    """processes that prepare volumes beside the training"""

    def check(self) -> None:
        """Raises `UserError` for values out of range, and for a missing or superfluous root."""
        check_at_least("count", self.count, 3)
        check_at_least("size", self.size, 1)
        check_at_least("batch_size", self.batch_size, 1)
        check_at_least("workers", self.workers, 0)
        check_positive("spacing", self.spacing)
        check_cube("patch", self.patch)
        if self.dataset != "generated" and self.root is None:
            raise UserError(f"--dataset {self.dataset}: say where it is with --root")
        if self.dataset == "generated" and self.root is not None:
            raise UserError(
                f"--root {self.root}: generated data needs none; add --dataset brats, msd or nnunet"
            )


@dataclass(frozen=True, kw_only=True)
class ArchitectureOptions(Options):
    """What the networks have in common."""

    norm: Literal["instance", "batch"] = "batch"
    """how features are normalised: by the statistics of the training, or of each volume, which
    costs the scale networks most of their equivariance"""
    window: int = 7
    """edge of the filters of the scale-equivariant networks at the largest scale, odd"""

    def check(self) -> None:
        """Raises `UserError` for a window that cannot be centred."""
        check_at_least("window", self.window, 3)
        if self.window % 2 == 0:
            raise UserError(f"--window {self.window}: only an odd one has a centre")


@dataclass(frozen=True, kw_only=True)
class ScheduleOptions(Options):
    """How long the training is, for few cases as for many."""

    steps: int = 0
    """updates of the weights, to which the epochs are fitted; 0: max_epochs says how many"""
    validations: int = 20
    """how often to validate, evenly spread over the training; 0: after every epoch"""

    def check(self) -> None:
        """Raises `UserError` for a value out of range."""
        check_at_least("steps", self.steps, 0)
        check_at_least("validations", self.validations, 0)

    def fitted(self, epochs: int, batches: int) -> tuple[int, int]:
        """The epochs of a training, and from one validation to the next.

        The training ends with a validation: its length is rounded up for that.

        Args:
            epochs: asked for.
            batches: of an epoch.
        """
        if self.steps:
            epochs = math.ceil(self.steps / batches)
        interval = math.ceil(epochs / self.validations) if self.validations else 1
        return math.ceil(epochs / interval) * interval, interval


@dataclass(frozen=True, kw_only=True)
class CommonOptions(
    HardwareOptions, ScheduleOptions, TrainingOptions, ArchitectureOptions, DataOptions
):
    """What one training and a whole study have in common."""


@dataclass(frozen=True, kw_only=True)
class CaseOptions(Options):
    """What is different from one training of a study to the next, beside the network."""

    train_cases: int | None = None
    """train on only this many cases"""
    augment: VolumeChange = "none"
    """flip: mirrored left to right; scale: that, and zoomed by 0.7 to 1.1"""

    def check(self) -> None:
        """Raises `UserError` for a number out of range."""
        if self.train_cases is not None:
            check_at_least("train_cases", self.train_cases, 1)
