"""A whole study: a grid of trainings, each trained and evaluated, compared in one report.

Several processes can share the grid. Each does its share of it, a run that another process holds is
left to that one, and whoever completes the grid writes the report.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from filelock import FileLock, Timeout
from pytorch_lightning.utilities.rank_zero import rank_zero_only
from rich.console import Console
from rich.table import Table

from experiments.common.errors import UserError
from experiments.common.files import read_json
from experiments.common.options import Options, check_at_least
from experiments.common.runs import RunFolder
from experiments.common.train import FREE, TrainOptions
from experiments.common.training import announce

__all__ = ["GridOptions", "Steps", "check_distinct", "run_study"]

Training = TypeVar("Training", bound=TrainOptions)
Evaluation = TypeVar("Evaluation", bound=Options)


@dataclass(frozen=True, kw_only=True)
class GridOptions(Options):
    """The networks of a study."""

    out: Path
    """folder of the study; given again with the same options, it is continued"""
    networks: list[str]
    """networks to compare"""
    channels: list[int] | None = None
    """widths of the levels of the networks. null: each its full widths"""
    seeds: list[int] = field(default_factory=lambda: [0])
    """train every network once with each of these seeds"""
    shard: str = "1/1"
    """do only this share of the trainings, such as 2/4: several processes do the others"""

    def check(self) -> None:
        """Raises `UserError` for an empty list, something named twice, or no such share."""
        check_distinct("networks", self.networks)
        check_distinct("seeds", self.seeds)
        check_at_least("seeds", min(self.seeds), 0)
        number, count = self._share()
        if not 1 <= number <= count:
            raise UserError(f"--shard {self.shard}: give 1/4, 2/4, 3/4 or 4/4 for four shares")

    def share(self, trainings: Sequence[Training]) -> list[tuple[int, Training]]:
        """The trainings of this share, with their numbers in the whole study, from 1."""
        number, count = self._share()
        return list(enumerate(trainings, start=1))[number - 1 :: count]

    def _share(self) -> tuple[int, int]:
        typed = re.fullmatch(r"([0-9]+)/([0-9]+)", self.shard)
        return (int(typed[1]), int(typed[2])) if typed else (0, 0)


def check_distinct(name: str, values: Sequence[Any]) -> None:
    """Raises `UserError` unless there is at least one value, and none twice."""
    if not values or len(set(values)) < len(values):
        typed = " ".join(map(str, values))
        raise UserError(f"--{name} {typed}: name at least one, and none twice")


@dataclass(frozen=True)
class Steps(Generic[Training, Evaluation]):
    """What is done in a study.

    Args:
        train: trains a network, or does nothing if that is done.
        evaluate: evaluates a run folder.
        report: writes the report on run folders to a folder, for the command typed; returns the
            page.
        table: the main figures of run folders.
    """

    train: Callable[[Training], Any]
    evaluate: Callable[[Path, Evaluation], Any]
    report: Callable[[Sequence[Path], Path, str], Path]
    table: Callable[[Sequence[Path]], Table]


def run_study(
    options: GridOptions,
    trainings: Sequence[Training],
    evaluation: Evaluation,
    steps: Steps[Training, Evaluation],
    typed: str,
) -> None:
    """Trains and evaluates what is not yet done, writes the report and prints its main figures.

    Args:
        options: which share is done.
        trainings: all of the study.
        evaluation: the same for all.
        steps: what is done.
        typed: the command that repeats the study.

    Raises:
        UserError: bad data, or a folder that holds something else or runs with other options.
        KeyboardInterrupt: stopped by the user; the same options continue the study.
    """
    for number, training in options.share(trainings):
        where = f"[{number}/{len(trainings)}] {training.out.name}"
        with _claimed(training) as ours:
            if not ours:
                announce(f"{where}: another process is at it")
                continue
            announce(where)
            steps.train(training)
            _evaluate(training, evaluation, steps)
    missing = [training.out.name for training in trainings if not _done(training, evaluation)]
    if missing:
        announce(
            f"{len(missing)} of {len(trainings)} runs are still to be done or at work "
            f"({', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''}); the process that "
            "completes them writes the report"
        )
        return
    _report(options, trainings, steps, typed)


# Of the processes of a training on several devices only one evaluates; the others go on to the next
# training and wait there.
@rank_zero_only
def _evaluate(
    training: Training, evaluation: Evaluation, steps: Steps[Training, Evaluation]
) -> None:
    if not _evaluated(training.out, evaluation):
        steps.evaluate(training.out, evaluation)


@rank_zero_only
def _report(
    options: GridOptions,
    trainings: Sequence[Training],
    steps: Steps[Training, Evaluation],
    typed: str,
) -> None:
    for training in trainings:
        RunFolder(training.out).prepare(training.config(), FREE)
    runs = [training.out for training in trainings]
    page = steps.report(runs, options.out, typed)
    Console().print(steps.table(runs))
    print(f"report: {page}")


def _done(training: TrainOptions, evaluation: Options) -> bool:
    return RunFolder(training.out).finished and _evaluated(training.out, evaluation)


def _evaluated(run: Path, options: Options) -> bool:
    file = run / "evaluation" / "evaluation.json"
    if not file.exists():
        return False
    # Processes that share a study may use a device each.
    free = {"device": None}
    return bool(read_json(file)["options"] | free == options.to_dict() | free)


@contextmanager
def _claimed(training: TrainOptions) -> Iterator[bool]:
    """Whether this process may do the run: no other one is at it, on this or another machine.

    The system gives the claim back when the process ends in whatever way.
    """
    # The processes of one training on several devices follow the first of them.
    if getattr(rank_zero_only, "rank", 0) != 0:
        yield True
        return
    file = training.out.parent / ".claims" / f"{training.out.name}.lock"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(file)
        lock.acquire(blocking=False)
    except Timeout:
        if training.devices != 1 or training.nodes != 1:
            raise UserError(
                f"{training.out}: another process is at it; give each process a --shard of its own"
            ) from None
        yield False
        return
    except OSError as error:
        raise UserError(f"{file}: cannot be written ({error.strerror or error})") from None
    try:
        yield True
    finally:
        lock.release()
