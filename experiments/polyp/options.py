"""The options of the polyp study that several of its commands share."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from experiments.common.errors import UserError
from experiments.common.options import Options, check_at_least
from experiments.common.training import HardwareOptions, TrainingOptions
from experiments.polyp.datamodule import PolypData


@dataclass(frozen=True, kw_only=True)
class DataOptions(Options):
    """The images."""

    dataset: Literal["generated", "kvasir", "clinicdb"] = "generated"
    """generated needs no download; the others are read from --root"""
    root: Path | None = None
    """folder of the data set as published: with images/ and masks/, or Original/ and Ground Truth/"""
    size: int = 96
    """side of the square to which images are resized, in pixels"""
    split: Literal["random", "sequence"] = "random"
    """training, validation and test images at random, or whole video sequences (clinicdb)"""
    count: int = 200
    """number of images to generate"""
    lit: bool = False
    """light the generated images from above, which gives away the orientation"""
    limit_train: int | None = None
    """train with only this many images"""
    augment: bool = False
    """turn and mirror the training images at random"""
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
                f"--root {self.root}: the generated data needs none; add --dataset kvasir or clinicdb"
            )


@dataclass(frozen=True, kw_only=True)
class CommonOptions(DataOptions, TrainingOptions, HardwareOptions):
    """What one training and a whole study have in common."""


FREE = ("root", "workers", "max_minutes", *(field.name for field in fields(HardwareOptions)))
"""Options that may change when a run is continued: where it runs, not what it computes."""


def open_data(options: dict[str, Any]) -> PolypData:
    """The images that a run with these options trains and is evaluated on.

    Raises:
        UserError: they are not where the options say, or not right.
    """
    names = [field.name for field in fields(DataOptions)]
    arguments = {name: options[name] for name in names if name != "root"}
    root = None if options["root"] is None else Path(options["root"])
    return PolypData(root=root, seed=options["seed"], **arguments)
