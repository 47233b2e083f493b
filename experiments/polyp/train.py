"""What is trained in the polyp study: its options, its data and its networks."""

from dataclasses import dataclass
from typing import Literal

from experiments.command_line.options import check_at_least, options_of
from experiments.common.errors import UserError
from experiments.polyp.data import polyp_data
from experiments.polyp.networks import build_network, check_network, network_arguments
from experiments.running.study import Study
from experiments.running.training_options import CommonOptions as AnyCommonOptions
from experiments.running.training_options import TrainOptions as AnyTrainOptions


@dataclass(frozen=True, kw_only=True)
class CommonOptions(options_of(polyp_data, "seed"), AnyCommonOptions):
    """The images, and what all networks have in common."""

    kernel_size: int = 3
    """edge of the kernels in pixels, odd"""
    downsampling: Literal["max", "average", "blur"] = "max"
    """between the levels; blur is the most accurate between multiples of 90 degrees"""
    anti_aliased: bool = False
    """nonlinearities on a grid twice as fine: more accurate between the grid's angles, slower"""

    def check(self) -> None:
        check_at_least("kernel_size", self.kernel_size, 1)
        if self.kernel_size % 2 == 0:
            raise UserError(f"--kernel_size {self.kernel_size}: an odd one keeps the size of maps")


@dataclass(frozen=True, kw_only=True)
class TrainOptions(CommonOptions, AnyTrainOptions):
    """Train one network, or resume an interrupted training."""

    network: str = "p4"
    """plain, or the group the U-Net is equivariant to: p4, se2_12, steerable_8, ..."""
    channels: list[int] | None = None
    """widths of a plain U-Net; the network gets as many parameters. null: the full widths"""

    def check(self) -> None:
        check_network(self.network, self.channels, self.size)


POLYP = Study(
    name="polyp",
    samples="images",
    about="Rotation-equivariant and ordinary U-Nets on polyps in colonoscopy images.",
    train=TrainOptions,
    data=polyp_data,
    network_arguments=network_arguments,
    build_network=build_network,
)
"""The training; `experiments.polyp.study` adds what is done with the trained networks."""
