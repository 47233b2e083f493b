"""What a study is, and how one of its networks is trained in a run folder."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from rich.table import Table
from torch import nn

from experiments.command_line.options import Options
from experiments.common.networks import parameters
from experiments.data.module import StudyData
from experiments.data.split import record_split
from experiments.running.callbacks import announce
from experiments.running.checkpoints import make_record
from experiments.running.fit import fit
from experiments.running.run_folder import RunFolder
from experiments.running.task import SegmentationTask
from experiments.running.training_options import FREE, TrainOptions

if TYPE_CHECKING:
    from experiments.running.grid import GridOptions


@dataclass(frozen=True)
class Study:
    """What a study is; its command line follows, see `experiments.running.study_commands`.

    Functions are defined in modules, and take options and paths as their class says. What is None
    is not part of the study, and its command does not exist.

    Args:
        name: of the package under `experiments`, or whatever tells it from other studies.
        samples: what the data consists of, in the plural.
        about: a sentence for the help.
        train: options of one training.
        data: its data, for those options of a run that it has parameters for.
        network_arguments: the arguments of `build_network`, plain types, for the options and the
            data of a run.
        build_network: from channels first to logits of the classes, at the same size.
        grid: options of the whole study; they include those of `evaluation`.
        evaluation: options of an evaluation.
        evaluate: evaluates a run folder and writes `evaluation/evaluation.json`, which holds
            `options`, and `scores` with a mean Dice.
        report: writes a report on run folders to a folder, for the command that repeats it (None:
            a command for each run), and returns the page.
        table: the main figures of run folders, for the terminal.
        predict: writes and returns masks. Its parameters, described in its docstring, are the
            options of the command; `checkpoint` and `out` among them.
        generate: writes samples; its parameters are the options, `out` and `count` among them.
        program: what is typed before a command; None: `python -m experiments.<name>`.
    """

    name: str
    samples: str
    about: str
    train: type[TrainOptions]
    data: Callable[..., StudyData]
    network_arguments: Callable[[dict[str, Any], Any], dict[str, Any]]
    build_network: Callable[..., nn.Module]
    grid: type[GridOptions] | None = None
    evaluation: type[Options] = Options
    evaluate: Callable[[Path, Any], dict[str, Any]] | None = None
    report: Callable[[Sequence[Path], Path, str | None], Path] | None = None
    table: Callable[[Sequence[Path]], Table] | None = None
    predict: Callable[..., Sequence[Path]] | None = None
    generate: Callable[..., None] | None = None
    program: str | None = None

    @property
    def command(self) -> str:
        """What is typed before the name of a command."""
        return self.program or f"python -m experiments.{self.name}"

    def open_data(self, options: dict[str, Any]) -> StudyData:
        """The data for the recorded options of a run."""
        known = {name: options[name] for name in signature(self.data).parameters if name in options}
        if known.get("root") is not None:
            known["root"] = Path(known["root"])
        return self.data(**known)


def train_run(study: Study, options: TrainOptions) -> dict[str, Any]:
    """Trains, continues, or does nothing if the run is finished; the result is as `fit`'s."""
    folder, config = RunFolder(options.out), options.config()
    if folder.finished:
        folder.prepare(config, FREE, options.defaults())
        result = folder.result()
        announce(f"{folder.path}: already trained ({result['epochs']} epochs)")
        return result
    options.require_devices()
    data = study.open_data(config)
    folder.prepare(config, FREE, options.defaults())
    record_split(folder.split_file, data.split)
    torch.manual_seed(options.seed)
    arguments = study.network_arguments(config, data)
    network, split = study.build_network(**arguments), data.split
    announce(
        f"training {options.network} ({parameters(network):,} parameters) on {data.title}: "
        f"{len(split.train)} training, {len(split.validation)} validation, "
        f"{len(split.test)} test {study.samples} -> {folder.path}"
    )
    together = data.batch_size * max(1, options.devices) * options.nodes
    epochs, interval = options.schedule(math.ceil(len(split.train) / together))
    task = SegmentationTask(
        network, options.learning_rate, options.weight_decay, epochs, data.window
    )
    record = make_record(study.name, arguments, config | data.settled())
    result = fit(task, data, folder, record, options, interval)
    announce(
        f"{folder.path}: validation Dice {result['best_dice']:.3f} in epoch "
        f"{result['best_epoch'] + 1} of {result['epochs']}, {result['seconds']:.0f} s"
    )
    return result
