"""Training one network of the polyp study in a run folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from experiments.common.checkpoints import make_record
from experiments.common.options import Options, check_at_least
from experiments.common.runs import RunFolder
from experiments.common.splits import record_split
from experiments.common.task import SegmentationTask
from experiments.common.training import announce, fit
from experiments.polyp.networks import build_network, check_network, network_arguments, parameters
from experiments.polyp.options import FREE, CommonOptions, open_data


@dataclass(frozen=True, kw_only=True)
class RunOptions(Options):
    """What is trained, and where it is written."""

    out: Path
    """folder of this run; given again with the same options, the training is continued"""
    network: str = "p4"
    """plain, or the group the U-Net is equivariant to: p4, se2_12, steerable_8, ..."""
    channels: list[int] | None = None
    """widths of a plain U-Net; the network gets as many parameters. None: the full widths"""
    seed: int = 0
    """of the split, the first weights, the order of the images and the augmentation"""


@dataclass(frozen=True, kw_only=True)
class TrainOptions(CommonOptions, RunOptions):
    """Train one network, or continue an interrupted training."""

    def check(self) -> None:
        """Raises `UserError` for a network that does not exist or does not fit the size."""
        check_at_least("seed", self.seed, 0)
        check_network(self.network, self.channels, self.size)

    def config(self) -> dict[str, Any]:
        """All options but the folder, as recorded in it."""
        return {name: value for name, value in self.to_dict().items() if name != "out"}


def train(options: TrainOptions) -> dict[str, Any]:
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
    data = open_data(config)
    folder.prepare(config, FREE)
    record_split(folder, data.split)
    torch.manual_seed(options.seed)
    arguments = network_arguments(config)
    network = build_network(**arguments)
    split = data.split
    announce(
        f"training {options.network} ({parameters(network):,} parameters) on {options.dataset}, "
        f"{options.size} px: {len(split.train)} training, {len(split.validation)} validation, "
        f"{len(split.test)} test images -> {folder.path}"
    )
    task = SegmentationTask(
        network, options.learning_rate, options.weight_decay, options.max_epochs
    )
    record = make_record("polyp", arguments, config)
    result = fit(task, data, folder, record, options.seed, options, options)
    announce(
        f"{folder.path}: validation Dice {result['best_dice']:.3f} in epoch "
        f"{result['best_epoch'] + 1} of {result['epochs']}, {result['seconds']:.0f} s"
    )
    return result
