"""What is trained in the tumour study: its options, its data and its networks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from experiments.command_line.options import check_at_least, check_positive
from experiments.common.errors import UserError
from experiments.running.study import Study
from experiments.running.training_options import CommonOptions as AnyCommonOptions
from experiments.running.training_options import TrainOptions as AnyTrainOptions
from experiments.tumour.augmentation import Augmentation
from experiments.tumour.datamodule import MULTIPLE, DatasetName, TumourData
from experiments.tumour.labels import RegionSet
from experiments.tumour.networks import build_network, check_network, network_arguments


@dataclass(frozen=True, kw_only=True)
class CommonOptions(AnyCommonOptions):
    """The volumes, and what all networks have in common."""

    dataset: DatasetName = "generated"
    """generated needs no download; the others are read from --root"""
    root: Path | None = None
    """folder of the published data set: a folder for each case (brats), or Task01 (msd)"""
    modalities: list[str] | None = None
    """which to use, such as flair t1ce; null: all there are"""
    regions: RegionSet = "whole"
    """what to outline: the whole tumour; or all: the whole, its core and what is enhancing in it"""
    spacing: float = 2.0
    """edge of the voxels to which volumes are brought, in millimetres"""
    validation_cases: int | None = None
    """cases to choose the best epoch by; null: 15 %"""
    test_cases: int | None = None
    """cases for the test; null: 15 %"""
    patch: int | None = None
    """train on cubes of this edge in voxels, a multiple of 16; null: on whole volumes"""
    count: int = 48
    """number of volumes to generate"""
    size: int = 48
    """edge of generated volumes in voxels"""
    batch_size: int = 1
    """volumes or cubes in a step"""
    validations: int = 20
    """how often to validate, evenly spread over the training; 0: after every epoch"""
    norm: Literal["instance", "batch"] = "batch"
    """how features are normalised: by the statistics of the training, or of each volume, which
    costs the scale networks most of their equivariance"""
    window: int = 7
    """edge of the filters of the scale-equivariant networks at the largest scale, odd"""

    def check(self) -> None:
        check_positive("spacing", self.spacing)
        if self.patch is not None and (self.patch < MULTIPLE or self.patch % MULTIPLE):
            raise UserError(f"--patch {self.patch}: must be a multiple of {MULTIPLE}")
        check_at_least("window", self.window, 3)
        if self.window % 2 == 0:
            raise UserError(f"--window {self.window}: only an odd one has a centre")


@dataclass(frozen=True, kw_only=True)
class TrainOptions(CommonOptions, AnyTrainOptions):
    """Train one network, or resume an interrupted training."""

    network: str = "scale_mean"
    """scale_mean, scale_max, plain, plain_parameters or plain_width"""
    channels: list[int] | None = None
    """widths of the scale-equivariant networks; the others follow. null: 4 8 16 32"""
    train_cases: int | None = None
    """train on only this many cases"""
    augment: Augmentation = "none"
    """flip: mirrored left to right; scale: that, and zoomed by 0.7 to 1.1"""

    def check(self) -> None:
        check_network(self.network, self.channels)
        if self.train_cases is not None:
            check_at_least("train_cases", self.train_cases, 1)


TUMOUR = Study(
    name="tumour",
    samples="cases",
    about="Scale-equivariant and ordinary 3D U-Nets on brain tumours in MRI.",
    train=TrainOptions,
    data=TumourData,
    network_arguments=network_arguments,
    build_network=build_network,
)
"""The training; `experiments.tumour.study` adds what is done with the trained networks."""

open_data = TUMOUR.open_data
