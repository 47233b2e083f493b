"""The evaluation of a finished run: what all studies have in common.

A study measures its test cases; scores, pictures, cost and files follow. They go to the run folder:

    evaluation/results.csv       every value that was measured, see `experiments.results.table`
    evaluation/evaluation.json   the rest: options, split, cost, environment, which pictures
    evaluation/pictures/*.png    the best, the median and the worst case, and outliers
    evaluation/frames.webp       one case under every transformation, for the report to move

`evaluation.json` is written last: where it is, the rest is there too.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import torch
from rich.progress import track
from torch import Tensor, nn

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

REFERENCE = "plain"
"""The network whose time the others are compared with."""

_PICTURED_OUTLIERS = 3
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class TrainedRun:
    """A finished run: its options, its best network in eval mode on a device, and its data."""

    study: Study
    folder: RunFolder
    config: dict[str, Any]
    network: nn.Module
    data: StudyData
    device: torch.device

    def cost(self, images: Tensor, repeats: int) -> dict[str, Any]:
        """Cost of the network for images (B, C, *space), its time beside that of `REFERENCE`."""
        config = self.config | {"network": REFERENCE}
        arguments = self.study.network_arguments(config, self.data)
        reference = self.study.build_network(**arguments).to(self.device)
        cost = cost_of(self.network, reference, images.to(self.device), repeats)
        size = list(images.shape[2:])
        return cost | {"reference": REFERENCE, "threads": torch.get_num_threads(), "size": size}


def open_run(study: Study, path: Path | str, device: str) -> TrainedRun:
    """The run in a folder, checked to be finished, of this study, and on the same data."""
    folder = RunFolder(Path(path))
    config = folder.config()
    if not folder.finished:
        raise UserError(f"{folder.path}: the training is not finished; train it to the end first")
    where = choose_device(device)
    network, _ = load_network(folder.path, study)
    data = study.open_data(config)
    check_split(folder.split_file, data.split)
    return TrainedRun(study, folder, config, network.to(where), data, where)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a study has measured on the test cases of a run."""

    table: pd.DataFrame
    """rows as of `table.rows_of`; their metric `agreement` says how cases move with the input"""
    frames: Frames
    """of one case under every transformation"""
    picture: Callable[[str], bytes]
    """the PNG of a case"""
    costed: Tensor
    """(B, C, *space), to measure the cost with"""
    repeats: int = 11
    """of the measurement of the cost"""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """what must be the same for all runs that are compared"""


def evaluate(
    study: Study,
    base: Mapping[str, Any],
    measure: Callable[[TrainedRun, Any], Measured],
    run: Path | str,
    options: Any,
) -> dict[str, Any]:
    """Evaluates the best checkpoint of a run, writes the results, and returns `evaluation.json`.

    Args:
        study: that of the run.
        base: the protocol and the transformation of the headline scores, columns of the table.
        measure: measures the test cases, with the options.
        run: its folder.
        options: of the evaluation, a `device` among them.
    """
    trained = open_run(study, run, options.device)
    measured = measure(trained, options)
    out, config = trained.folder.path / "evaluation", trained.config
    table = measured.table.assign(
        run=trained.folder.path.name or str(trained.folder.path),
        network=config["network"],
        seed=config["seed"],
    )
    headline = table[(table[list(base)] == pd.Series(base)).all(axis=1)]
    chosen = choose_pictures(headline, table[table["metric"] == "agreement"])
    files = {name: f"pictures/{re.sub(r'[^A-Za-z0-9._-]', '_', name)}.png" for name in chosen}
    pictures = {out / files[name]: measured.picture(name) for name in chosen}
    text = table_text(table)
    evaluation = {
        "study": study.name,
        "network": config["network"],
        "finished_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "config": config,
        "options": options.to_dict(),
        "data": trained.data.describe(),
        "regions": list(trained.data.regions),
        "split": trained.data.split.counts(),
        "training": trained.folder.result(),
        "environment": describe_environment() | {"device": str(trained.device)},
        "scores": {
            str(metric): {"mean": found.mean, "low": found.low, "high": found.high}
            for metric, rows in headline.groupby("metric", sort=False)
            for found in [estimate(rows)]
        },
        "pictures": [{"name": n, "reasons": why, "file": files[n]} for n, why in chosen.items()],
        "frames": measured.frames.to_dict(),
        "results": hashlib.sha256(text.encode()).hexdigest(),
        "settings": dict(measured.settings),
        "cost": trained.cost(measured.costed, measured.repeats),
    }
    for file, png in pictures.items():
        write_atomically(file, png)
    write_atomically(out / "frames.webp", measured.frames.sheet())
    write_atomically(out / "results.csv", text)
    write_json(out / "evaluation.json", evaluation)
    for stale in set((out / "pictures").glob("*.png")) - set(pictures):
        stale.unlink()
    return evaluation


def choose_pictures(headline: pd.DataFrame, agreement: pd.DataFrame) -> dict[str, list[str]]:
    """Names of the cases to show, each with the reasons: by Dice, and by how they move.

    Cases without any region present are left out.
    """
    scores = case_means(headline[headline["metric"] == "dice"]).sort_values(kind="stable")
    if not len(scores):  # Nothing is there to outline in any case.
        return {str(headline["case"].iloc[0]): ["first"]}
    names, low = list(scores.index), outliers(scores, "dice").index[:_PICTURED_OUTLIERS]
    chosen = [(names[-1], "best"), (names[len(names) // 2], "median"), (names[0], "worst")]
    chosen += [(name, "outlier") for name in low]
    moved = case_means(agreement)
    if len(moved):
        chosen.append((moved.idxmin(), "least equivariant"))
    reasons: dict[str, list[str]] = {}
    for name, why in chosen:
        reasons.setdefault(str(name), []).append(why)
    return reasons


def followed(items: Iterable[_Item], total: int, what: str) -> Iterable[_Item]:
    """The items, with a progress bar in a terminal."""
    return track(items, what, total, transient=True, disable=not sys.stdout.isatty())
