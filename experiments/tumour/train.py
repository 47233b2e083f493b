"""Training one network of the tumour study in a run folder."""

from dataclasses import dataclass
from typing import Any

from experiments.common.train import Study, train_run
from experiments.common.train import TrainOptions as AnyTrainOptions
from experiments.tumour.data import open_data
from experiments.tumour.networks import build_network, check_network, network_arguments
from experiments.tumour.options import CaseOptions, CommonOptions

__all__ = ["TUMOUR", "TrainOptions", "train"]

TUMOUR = Study("tumour", "cases", open_data, network_arguments, build_network)


@dataclass(frozen=True, kw_only=True)
class TrainOptions(CommonOptions, CaseOptions, AnyTrainOptions):
    """Train one network, or continue an interrupted training."""

    network: str = "scale_mean"
    """scale_mean, scale_max, plain, plain_parameters or plain_width"""
    channels: list[int] | None = None
    """widths of the scale-equivariant networks; the others follow. null: 4 8 16 32"""

    def check(self) -> None:
        """Raises `UserError` for a network that does not exist."""
        check_network(self.network, self.channels)

    def schedule(self, batches: int) -> tuple[int, int]:
        """Epochs of the training, and from one validation to the next; `batches` an epoch."""
        return self.fitted(self.max_epochs, batches)


def train(options: TrainOptions) -> dict[str, Any]:
    """Trains, or continues; does nothing when the run is already finished."""
    return train_run(TUMOUR, options)
