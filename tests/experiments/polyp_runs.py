"""Finished runs of the polyp study, made without training."""

from pathlib import Path
from typing import Any

import torch

from experiments.common.files import write_json
from experiments.polyp.networks import build_network, network_arguments
from experiments.polyp.train import POLYP, TrainOptions
from experiments.running.checkpoints import make_record
from experiments.running.run_folder import RunFolder

SIZE = 32
TEST_IMAGES = 6


def finished_run(path: Path, network: str = "p4", seed: int = 0, **options: Any) -> Path:
    """A run folder as a training leaves it, with the first weights of a tiny network."""
    choices: dict[str, Any] = {"channels": [2, 4], "size": SIZE, "count": 40} | options
    config = TrainOptions(out=path, network=network, seed=seed, **choices).config()
    folder = RunFolder(path)
    folder.prepare(config)
    write_json(folder.split_file, POLYP.open_data(config).split.to_dict())
    torch.manual_seed(seed)
    arguments = network_arguments(config)
    weights = build_network(**arguments).state_dict()
    folder.best.parent.mkdir()
    checkpoint = {
        "gcnn": make_record("polyp", arguments, config),
        "state_dict": {f"network.{name}": value for name, value in weights.items()},
    }
    torch.save(checkpoint, folder.best)
    result = {"epochs": 2, "best_epoch": 1, "best_dice": 0.5, "parameters": 1, "seconds": 90.0}
    write_json(folder.result_file, result)
    return path
