"""Training one network of a study in a run folder, or continuing to."""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from experiments.common.checkpoints import make_record
from experiments.common.options import Options, check_at_least
from experiments.common.runs import RunFolder
from experiments.common.task import SegmentationTask
from experiments.common.training import HardwareOptions, TrainingOptions, announce, fit
from experiments.data.module import StudyData
from experiments.data.split import record_split

__all__ = ["FREE", "RunOptions", "Study", "TrainOptions", "train_run"]

FREE = (
    "root",
    "cache",
    "workers",
    "max_minutes",
    *(field.name for field in fields(HardwareOptions)),
)
"""Options that may change when a run is continued: where it runs, not what it computes."""


@dataclass(frozen=True, kw_only=True)
class RunOptions(Options):
    """What is trained, and where it is written."""

    out: Path
    """folder of this run; given again with the same options, the training is continued"""
    network: str
    """name of the network"""
    channels: list[int] | None = None
    """widths of the levels of the network. None: the full widths"""
    seed: int = 0
    """of the split, the first weights, the order of the samples and the augmentation"""

    def check(self) -> None:
        """Raises `UserError` for a negative seed."""
        check_at_least("seed", self.seed, 0)

    def config(self) -> dict[str, Any]:
        """All options but the folder, as recorded in it."""
        return {name: value for name, value in self.to_dict().items() if name != "out"}


@dataclass(frozen=True, kw_only=True)
class TrainOptions(HardwareOptions, TrainingOptions, RunOptions):
    """Train one network, or continue an interrupted training."""

    def schedule(self, batches: int) -> tuple[int, int]:
        """Epochs of the training, and from one validation to the next; `batches` an epoch."""
        return self.max_epochs, 1


@dataclass(frozen=True)
class Study:
    """What a training needs to know of its study.

    Args:
        name: the package under `experiments`.
        samples: what the data consists of, in the plural.
        open_data: the data for the options of a run.
        network_arguments: the arguments of `build_network`, plain types, for the options and the
            data of a run.
        build_network: the function of this name in the module `networks` of the package.
    """

    name: str
    samples: str
    open_data: Callable[[dict[str, Any]], StudyData]
    network_arguments: Callable[[dict[str, Any], Any], dict[str, Any]]
    build_network: Callable[..., nn.Module]


def train_run(study: Study, options: TrainOptions) -> dict[str, Any]:
    """Trains, or continues; does nothing when the run is already finished.

    Returns:
        The result, see `experiments.common.training.fit`.

    Raises:
        UserError: bad data, or a folder that holds something else or a run with other options.
        KeyboardInterrupt: stopped by the user; the same options continue the run.
    """
    folder, config = RunFolder(options.out), options.config()
    if folder.finished:
        folder.prepare(config, FREE)
        result = folder.result()
        announce(f"{folder.path}: already trained ({result['epochs']} epochs)")
        return result
    data = study.open_data(config)
    folder.prepare(config, FREE)
    record_split(folder.split_file, data.split)
    torch.manual_seed(options.seed)
    arguments = study.network_arguments(config, data)
    network = study.build_network(**arguments)
    split = data.split
    parameters = sum(parameter.numel() for parameter in network.parameters())
    announce(
        f"training {options.network} ({parameters:,} parameters) on {data.title}: "
        f"{len(split.train)} training, {len(split.validation)} validation, "
        f"{len(split.test)} test {study.samples} -> {folder.path}"
    )
    together = data.batch_size * max(1, options.devices) * options.nodes
    epochs, interval = options.schedule(math.ceil(len(split.train) / together))
    training = replace(options.part(TrainingOptions), max_epochs=epochs)
    task = SegmentationTask(
        network, options.learning_rate, options.weight_decay, epochs, data.window
    )
    record = make_record(study.name, arguments, config | data.settled())
    result = fit(task, data, folder, record, options.seed, training, options, interval)
    announce(
        f"{folder.path}: validation Dice {result['best_dice']:.3f} in epoch "
        f"{result['best_epoch'] + 1} of {result['epochs']}, {result['seconds']:.0f} s"
    )
    return result
