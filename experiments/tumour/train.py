"""What is trained in the tumour study: its options, its data and its networks."""

from dataclasses import dataclass
from typing import Literal

from experiments.command_line.options import check_at_least, options_of
from experiments.common.errors import UserError
from experiments.data.augmentation import VolumeChange
from experiments.running.study import Study
from experiments.running.training_options import CommonOptions as AnyCommonOptions
from experiments.running.training_options import TrainOptions as AnyTrainOptions
from experiments.tumour.data import tumour_data
from experiments.tumour.networks import build_network, check_network, network_arguments

DataOptions = options_of(tumour_data, "seed", "train_cases", "augment")
"""What all trainings of a study have in common; the others are different from one to the next."""


@dataclass(frozen=True, kw_only=True)
class CommonOptions(DataOptions, AnyCommonOptions):
    """The volumes, and what all networks have in common."""

    validations: int = 20
    """how often to validate, evenly spread over the training; 0: after every epoch"""
    norm: Literal["instance", "batch"] = "batch"
    """how features are normalised: by the statistics of the training, or of each volume, which
    costs the scale networks most of their equivariance"""
    window: int = 7
    """edge of the filters of the scale-equivariant networks at the largest scale, odd"""

    def check(self) -> None:
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
    augment: VolumeChange = "none"
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
    data=tumour_data,
    network_arguments=network_arguments,
    build_network=build_network,
)
"""The training; `experiments.tumour.study` adds what is done with the trained networks."""
