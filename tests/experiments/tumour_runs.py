"""Finished runs of the tumour study, made without training."""

from pathlib import Path
from typing import Any

import torch

from experiments.common.files import write_json
from experiments.running.checkpoints import make_record
from experiments.running.run_folder import RunFolder
from experiments.tumour.networks import build_network, network_arguments
from experiments.tumour.train import TUMOUR, TrainOptions

SIZE = 24
TEST_CASES = 3


def finished_run(path: Path, network: str = "plain_width", seed: int = 0, **options: Any) -> Path:
    """A run folder as a training leaves it, with the first weights of a tiny network."""
    choices: dict[str, Any] = {
        "channels": [1, 2],
        "size": SIZE,
        "count": 8,
        "test_cases": TEST_CASES,
        "window": 3,
    } | options
    config = TrainOptions(out=path, network=network, seed=seed, **choices).config()
    folder = RunFolder(path)
    folder.prepare(config)
    data = TUMOUR.open_data(config)
    write_json(folder.split_file, data.split.to_dict())
    torch.manual_seed(seed)
    arguments = network_arguments(config, data)
    weights = build_network(**arguments).state_dict()
    folder.best.parent.mkdir()
    checkpoint = {
        "gcnn": make_record("tumour", arguments, config | data.settled()),
        "state_dict": {f"network.{name}": value for name, value in weights.items()},
    }
    torch.save(checkpoint, folder.best)
    result = {"epochs": 2, "best_epoch": 1, "best_dice": 0.5, "parameters": 1, "seconds": 90.0}
    write_json(folder.result_file, result)
    return path
