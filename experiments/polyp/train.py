"""Training one network of the polyp study in a run folder."""

from dataclasses import dataclass
from typing import Any

from experiments.common.train import Study, train_run
from experiments.common.train import TrainOptions as AnyTrainOptions
from experiments.polyp.data import open_data
from experiments.polyp.networks import build_network, check_network, network_arguments
from experiments.polyp.options import CommonOptions

__all__ = ["POLYP", "TrainOptions", "train"]

POLYP = Study(
    "polyp", "images", open_data, lambda options, data: network_arguments(options), build_network
)


@dataclass(frozen=True, kw_only=True)
class TrainOptions(CommonOptions, AnyTrainOptions):
    """Train one network, or continue an interrupted training."""

    network: str = "p4"
    """plain, or the group the U-Net is equivariant to: p4, se2_12, steerable_8, ..."""
    channels: list[int] | None = None
    """widths of a plain U-Net; the network gets as many parameters. None: the full widths"""

    def check(self) -> None:
        """Raises `UserError` for a network that does not exist or does not fit the size."""
        check_network(self.network, self.channels, self.size)


def train(options: TrainOptions) -> dict[str, Any]:
    """Trains, or continues; does nothing when the run is already finished."""
    return train_run(POLYP, options)
