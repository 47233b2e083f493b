"""The options of the polyp study that several of its commands share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from experiments.common.errors import UserError
from experiments.common.options import Options, check_at_least
from experiments.common.training import HardwareOptions, TrainingOptions
from experiments.data.augmentation import ImageChange
from experiments.polyp.data import DatasetName, SplitKind


@dataclass(frozen=True, kw_only=True)
class DataOptions(Options):
    """The images."""

    dataset: DatasetName = "generated"
    """generated needs no download; the others are read from --root"""
    root: Path | None = None
    """folder of the data set: with images/ and masks/ (folder, kvasir), or as published"""
    regions: list[str] | None = None
    """the region to outline, where the data set names several"""
    cache: Path | None = None
    """folder for prepared images that do not fit into memory; null: in memory"""
    size: int = 96
    """side of the square to which images are resized, in pixels"""
    split: SplitKind = "random"
    """training, validation and test images at random, or whole video sequences"""
    count: int = 240
    """number of images to generate"""
    lit: bool = False
    """give the generated images a fixed direction of light, polyps and folds"""
    limit_train: int | None = None
    """train with only this many images"""
    augment: ImageChange = "none"
    """light: mirror, zoom, other exposure; rotate: all that, and turned by any angle"""
    batch_size: int = 8
    """images in a step"""
    workers: int = 0
    """processes that load images beside the training"""

    def check(self) -> None:
        """Raises `UserError` for values out of range, and for a missing or superfluous root."""
        check_at_least("size", self.size, 1)
        check_at_least("count", self.count, 3)
        check_at_least("batch_size", self.batch_size, 1)
        check_at_least("workers", self.workers, 0)
        if self.limit_train is not None:
            check_at_least("limit_train", self.limit_train, 1)
        if self.dataset != "generated" and self.root is None:
            raise UserError(f"--dataset {self.dataset}: say where it is with --root")
        if self.dataset == "generated" and self.root is not None:
            raise UserError(
                f"--root {self.root}: generated data needs none; add --dataset folder, kvasir, "
                "clinicdb or nnunet"
            )


@dataclass(frozen=True, kw_only=True)
class ArchitectureOptions(Options):
    """What all networks have in common."""

    kernel_size: int = 3
    """edge of the kernels in pixels, odd"""
    downsampling: Literal["max", "average", "blur"] = "max"
    """between the levels; blur is the most accurate between multiples of 90 degrees"""
    anti_aliased: bool = False
    """nonlinearities on a grid twice as fine: more accurate between the grid's angles, slower"""

    def check(self) -> None:
        """Raises `UserError` for a kernel that cannot be centred."""
        check_at_least("kernel_size", self.kernel_size, 1)
        if self.kernel_size % 2 == 0:
            raise UserError(f"--kernel_size {self.kernel_size}: an odd one keeps the size of maps")


@dataclass(frozen=True, kw_only=True)
class CommonOptions(HardwareOptions, TrainingOptions, ArchitectureOptions, DataOptions):
    """What one training and a whole study have in common."""
