"""What the evaluations of all studies have in common: a finished run, its record, its files."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from experiments.common.cost import cost_of
from experiments.common.device import choose_device
from experiments.common.errors import UserError
from experiments.common.files import write_atomically, write_json
from experiments.common.metrics import summarise
from experiments.common.options import Options
from experiments.common.runs import RunFolder, describe_environment, load_network
from experiments.common.train import Study
from experiments.data.module import StudyData
from experiments.data.split import check_split

__all__ = [
    "REFERENCE",
    "TrainedRun",
    "choose_by_score",
    "picture_file",
    "table_of",
    "write_evaluation",
]

REFERENCE = "plain"
"""The network whose time the others are compared with."""

_PICTURED_OUTLIERS = 3


@dataclass(frozen=True)
class TrainedRun:
    """A finished run, with its best network and its data.

    Attributes:
        study: that it belongs to.
        folder: of the run.
        config: the options of the training.
        network: in eval mode, on `device`.
        data: divided as in the training.
        device: of the network.
    """

    study: Study
    folder: RunFolder
    config: dict[str, Any]
    network: nn.Module
    data: StudyData
    device: torch.device

    @classmethod
    def open(cls, study: Study, path: Path | str, device: str) -> TrainedRun:
        """The run in a folder.

        Raises:
            UserError: it is not finished, its data has changed or cannot be read, or there is no
                such device.
        """
        folder = RunFolder(Path(path))
        config = folder.config()
        if not folder.finished:
            raise UserError(
                f"{folder.path}: the training is not finished; train it to the end first"
            )
        where = choose_device(device)
        network, _ = load_network(folder.path)
        data = study.open_data(config)
        check_split(folder.split_file, data.split)
        return cls(study, folder, config, network.to(where), data, where)

    def record(self, options: Options) -> dict[str, Any]:
        """What every evaluation says about the run, and about itself."""
        return {
            "network": self.config["network"],
            "finished_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "config": self.config,
            "options": options.to_dict(),
            "data": self.data.describe(),
            "split": self.data.split.counts(),
            "training": self.folder.result(),
            "environment": describe_environment() | {"device": str(self.device)},
        }

    def cost(self, images: Tensor, repeats: int = 11) -> dict[str, Any]:
        """Cost of the network for images (B, C, *space), its time beside that of `REFERENCE`."""
        config = self.config | {"network": REFERENCE}
        arguments = self.study.network_arguments(config, self.data)
        reference = self.study.build_network(**arguments).to(self.device)
        cost = cost_of(self.network, reference, images.to(self.device), repeats)
        return cost.to_dict() | {
            "reference": REFERENCE,
            "threads": torch.get_num_threads(),
            "size": list(images.shape[2:]),
        }


def choose_by_score(scores: Mapping[str, float]) -> dict[str, list[str]]:
    """Names of the samples to show, with the reasons: best, median, worst, and low outliers."""
    ordered = sorted(scores, key=lambda name: scores[name])
    chosen = [(ordered[-1], "best"), (ordered[len(ordered) // 2], "median"), (ordered[0], "worst")]
    outliers = list(summarise(scores).outliers)[:_PICTURED_OUTLIERS]
    reasons: dict[str, list[str]] = {}
    for name, why in [*chosen, *((name, "outlier") for name in outliers)]:
        reasons.setdefault(name, []).append(why)
    return reasons


def picture_file(name: str) -> str:
    """Where the picture of a sample is written, seen from the folder of the evaluation."""
    return f"pictures/{re.sub(r'[^A-Za-z0-9._-]', '_', name)}.png"


def table_of(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The content of a CSV file."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return table.getvalue()


def write_evaluation(
    folder: RunFolder,
    evaluation: Mapping[str, Any],
    measured: Mapping[str, Mapping[str, Any]],
    files: Mapping[str, str | bytes],
) -> None:
    """Writes the folder `evaluation` of a run, `evaluation.json` last, and removes old pictures.

    Args:
        folder: of the run.
        evaluation: content of `evaluation.json`.
        measured: content of other JSON files, by their names without ending. They say in `of` which
            evaluation they belong to.
        files: content of all others, by their names in the folder.

    Raises:
        UserError: something cannot be written.
    """
    out = folder.path / "evaluation"
    for name, content in files.items():
        write_atomically(out / name, content)
    for name, values in measured.items():
        write_json(out / f"{name}.json", {**values, "of": evaluation["finished_at"]})
    write_json(out / "evaluation.json", dict(evaluation))
    for stale in set((out / "pictures").glob("*.png")) - {out / name for name in files}:
        stale.unlink()
