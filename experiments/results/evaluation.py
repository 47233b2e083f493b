"""What the evaluations of all studies have in common: a finished run, its record, its files.

An evaluation adds to the run folder

    evaluation/results.csv       every value that was measured, see `experiments.results.table`
    evaluation/evaluation.json   the rest: options, split, cost, environment, which pictures
    evaluation/pictures/*.png    the best, the median and the worst case, and outliers
    evaluation/frames.webp       one case under every transformation, for the report to move

`evaluation.json` is written last: where it is, the rest is there too.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from experiments.command_line.options import Options
from experiments.common.errors import UserError
from experiments.common.files import write_atomically, write_json
from experiments.data.module import StudyData
from experiments.data.split import check_split
from experiments.results.cost import cost_of
from experiments.results.frames import Frames
from experiments.results.statistics import case_means, estimate, outliers
from experiments.results.table import table_text
from experiments.running.checkpoints import load_network
from experiments.running.hardware import choose_device
from experiments.running.run_folder import RunFolder, describe_environment
from experiments.running.study import Study

__all__ = ["REFERENCE", "TrainedRun", "choose_by_score", "write_evaluation"]

REFERENCE = "plain"
"""The network whose time the others are compared with."""

_PICTURED_OUTLIERS = 3


@dataclass(frozen=True)
class TrainedRun:
    """A finished run: its options, its best network in eval mode on a device, and its data."""

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
            UserError: it is not finished or of another study, its data has changed or cannot be
                read, or there is no such device.
        """
        folder = RunFolder(Path(path))
        config = folder.config()
        if not folder.finished:
            raise UserError(
                f"{folder.path}: the training is not finished; train it to the end first"
            )
        where = choose_device(device)
        network, _ = load_network(folder.path, study)
        data = study.open_data(config)
        check_split(folder.split_file, data.split)
        return cls(study, folder, config, network.to(where), data, where)

    def cost(self, images: Tensor, repeats: int = 11) -> dict[str, Any]:
        """Cost of the network for images (B, C, *space), its time beside that of `REFERENCE`."""
        config = self.config | {"network": REFERENCE}
        arguments = self.study.network_arguments(config, self.data)
        reference = self.study.build_network(**arguments).to(self.device)
        cost = cost_of(self.network, reference, images.to(self.device), repeats)
        return cost | {
            "reference": REFERENCE,
            "threads": torch.get_num_threads(),
            "size": list(images.shape[2:]),
        }


def choose_by_score(rows: pd.DataFrame) -> dict[str, list[str]]:
    """Names of the cases to show, with the reasons: best, median, worst, and low outliers.

    Args:
        rows: of one metric; cases without any region present are left out.
    """
    scores = case_means(rows).sort_values(kind="stable")
    if not len(scores):  # Nothing is there to outline in any case.
        return {str(rows["case"].iloc[0]): ["first"]}
    names = [str(name) for name in scores.index]
    chosen = [(names[-1], "best"), (names[len(names) // 2], "median"), (names[0], "worst")]
    low = outliers(scores, "dice").index[:_PICTURED_OUTLIERS]
    reasons: dict[str, list[str]] = {}
    for name, why in [*chosen, *((str(name), "outlier") for name in low)]:
        reasons.setdefault(name, []).append(why)
    return reasons


def write_evaluation(
    trained: TrainedRun,
    options: Options,
    table: pd.DataFrame,
    base: Mapping[str, Any],
    pictures: Mapping[str, tuple[Sequence[str], bytes]],
    frames: Frames,
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """Writes the folder `evaluation` of a run and removes the pictures of an earlier one.

    Args:
        trained: the run.
        options: of the evaluation.
        table: rows as of `table.rows_of`.
        base: the protocol and the transformation of the headline scores, columns of the table.
        pictures: PNGs of single cases, by name, and why they were chosen.
        frames: of one case under every transformation.
        about: further content of `evaluation.json`: `regions`, `cost`, and the `settings` without
            which runs do not compare.

    Returns:
        The content of `evaluation.json`.

    Raises:
        UserError: something cannot be written.
    """
    out = trained.folder.path / "evaluation"
    run, config = trained.folder.path.name or str(trained.folder.path), trained.config
    table = table.assign(run=run, network=config["network"], seed=config["seed"])
    headline = table[(table[list(base)] == pd.Series(base)).all(axis=1)]
    text = table_text(table)
    files = {name: f"pictures/{re.sub(r'[^A-Za-z0-9._-]', '_', name)}.png" for name in pictures}
    evaluation = {
        "study": trained.study.name,
        "network": config["network"],
        "finished_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "config": config,
        "options": options.to_dict(),
        "data": trained.data.describe(),
        "split": trained.data.split.counts(),
        "training": trained.folder.result(),
        "environment": describe_environment() | {"device": str(trained.device)},
        "scores": {
            str(metric): {"mean": found.mean, "low": found.low, "high": found.high}
            for metric, rows in headline.groupby("metric", sort=False)
            for found in [estimate(rows)]
        },
        "pictures": [
            {"name": name, "reasons": list(why), "file": files[name]}
            for name, (why, _) in pictures.items()
        ],
        "frames": frames.to_dict(),
        "results": hashlib.sha256(text.encode()).hexdigest(),
        **about,
    }
    for name, (_, png) in pictures.items():
        write_atomically(out / files[name], png)
    write_atomically(out / "frames.webp", frames.sheet())
    write_atomically(out / "results.csv", text)
    write_json(out / "evaluation.json", evaluation)
    for stale in set((out / "pictures").glob("*.png")) - {out / file for file in files.values()}:
        stale.unlink()
    return evaluation
