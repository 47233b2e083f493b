"""A whole study: a grid of trainings, each trained and evaluated, compared in one report."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import partial
from itertools import product
from pathlib import Path
from typing import ClassVar, Literal

from pytorch_lightning.utilities.rank_zero import rank_zero_only
from rich.console import Console

from experiments.command_line.options import (
    Options,
    check_at_least,
    check_distinct,
    check_positive,
    check_seed,
)
from experiments.command_line.typed import command
from experiments.common.files import read_json
from experiments.running.callbacks import announce
from experiments.running.ray_engine import run_on_ray
from experiments.running.study import Study, train_run
from experiments.running.training_options import TrainOptions


@dataclass(frozen=True, kw_only=True)
class GridOptions(Options):
    """Train several networks, evaluate each and write the report.

    A study inherits from this and from the options that all of its trainings share.
    """

    TRAIN: ClassVar[type[TrainOptions]]
    """options of one training"""
    AXES: ClassVar[tuple[tuple[str, str], ...]] = (("seeds", "seed"), ("networks", "network"))
    """lists of the grid, each with the option of a training that its values go to"""
    FOLDER: ClassVar[str] = "{network}-seed{seed}"
    """name of the folder of a run, from options of the training"""

    out: Path
    """folder of the study; rerun with the same options, it is resumed"""
    networks: list[str]
    """networks to compare"""
    channels: list[int] | None = None
    """widths of the levels of the networks. null: each its full widths"""
    seeds: list[int] = field(default_factory=lambda: [0])
    """train every network once with each of these seeds"""
    engine: Literal["sequential", "ray"] = "sequential"
    """one training after another in this process, or several at a time on Ray"""
    address: str | None = None
    """of a Ray cluster that runs already, or auto; null: this machine alone"""
    cpus: float = 1
    """CPUs that Ray reserves for each training"""
    gpus: float = 0
    """GPUs that Ray reserves for each training; half a one lets two trainings share it"""

    def check(self) -> None:
        for axis, _ in self.AXES:
            check_distinct(axis, getattr(self, axis))
        for seed in self.seeds:
            check_seed("seeds", seed)
        check_positive("cpus", self.cpus)
        check_at_least("gpus", self.gpus, 0)
        self.trainings()

    def trainings(self) -> list[TrainOptions]:
        """The options of every single training; the last of `AXES` changes fastest."""
        names = {one.name for one in fields(self.TRAIN)} & {one.name for one in fields(self)}
        shared = {name: getattr(self, name) for name in names}
        made = []
        for values in product(*(getattr(self, axis) for axis, _ in self.AXES)):
            varied = shared | dict(zip((one for _, one in self.AXES), values, strict=True))
            out = self.out / self.FOLDER.format(**varied)
            made.append(self.TRAIN(**varied | {"out": out}))
        return made


def run_grid(study: Study, options: GridOptions) -> None:
    """Trains and evaluates what is not yet done, writes the report and prints its main figures."""
    evaluation = options.part(study.evaluation)
    jobs: dict[Path, Callable[[], None]] = {
        training.out: partial(complete_run, study, training, evaluation)
        for training in options.trainings()
    }
    if options.engine == "ray":
        named = {run.name: job for run, job in jobs.items()}
        run_on_ray(named, options.address, options.cpus, options.gpus)
    else:
        for number, (run, job) in enumerate(jobs.items(), start=1):
            announce(f"[{number}/{len(jobs)}] {run.name}")
            job()
    _report(study, options, list(jobs))


def complete_run(study: Study, training: TrainOptions, evaluation: Options) -> None:
    """Trains and evaluates a run, as far as that is not yet done."""
    train_run(study, training)
    _evaluate(study, training.out, evaluation)


# Of the processes of a training on several devices only one evaluates; the others go on to the next
# training and wait there.
@rank_zero_only
def _evaluate(study: Study, run: Path, options: Options) -> None:
    file = run / "evaluation" / "evaluation.json"
    free = {"device": None}  # it may change from one run to the next
    same = file.exists() and read_json(file)["options"] | free == options.to_dict() | free
    if study.evaluate is not None and not same:
        study.evaluate(run, options)


@rank_zero_only
def _report(study: Study, options: GridOptions, runs: list[Path]) -> None:
    if study.report is not None:
        where = ("engine", "address", "cpus", "gpus")  # not what is computed
        typed = command(study.command, "study", type(options), vars(options), left_out=where)
        page = study.report(runs, options.out, typed)
        if study.table is not None:
            Console().print(study.table(runs))
        print(f"report: {page}")
