"""Training a segmentation task in a run folder, and continuing one that was interrupted."""

import csv
import io
import signal
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping, RichProgressBar, Timer
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from experiments.common.checkpoints import AtomicCheckpointIO, LastAndBest, read_checkpoint
from experiments.common.errors import UserError
from experiments.common.files import write_atomically, write_json
from experiments.common.options import Options, check_at_least, check_positive
from experiments.common.runs import RunFolder
from experiments.common.task import SegmentationTask

MONITOR = "validation/dice"


@rank_zero_only
def announce(text: str) -> None:
    """Prints a line, once, however many processes train."""
    print(text, flush=True)


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(Options):
    """How the network is trained."""

    max_epochs: int = 100
    """epochs to train; the learning rate falls along half a cosine over them"""
    max_minutes: float = 0.0
    """stop after the first epoch that ends later than this; 0 = no limit"""
    patience: int = 0
    """stop after this many validations without a better Dice; 0 = never"""
    learning_rate: float = 3e-3
    """learning rate of AdamW in the first epoch"""
    weight_decay: float = 1e-2
    """weight decay of AdamW"""
    gradient_clip: float = 1.0
    """largest norm of the gradient; 0 = no clipping"""
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    """number format of the arithmetic"""

    def check(self) -> None:
        """Raises `UserError` for a value out of range."""
        check_at_least("max_epochs", self.max_epochs, 1)
        check_at_least("max_minutes", self.max_minutes, 0)
        check_at_least("patience", self.patience, 0)
        check_positive("learning_rate", self.learning_rate)
        check_at_least("weight_decay", self.weight_decay, 0)
        check_at_least("gradient_clip", self.gradient_clip, 0)


@dataclass(frozen=True, kw_only=True)
class HardwareOptions(Options):
    """What the network is trained on."""

    accelerator: str = "auto"
    """cpu, gpu, mps, ... or auto: the best there is"""
    devices: int = 1
    """devices of a node to train on; -1 = all"""
    nodes: int = 1
    """number of nodes"""
    strategy: str = "auto"
    """how Lightning distributes the work over several devices (auto, ddp, ...)"""

    def check(self) -> None:
        """Raises `UserError` for a value out of range."""
        if self.devices != -1:
            check_at_least("devices", self.devices, 1)
        check_at_least("nodes", self.nodes, 1)


def fit(
    task: SegmentationTask,
    data: pl.LightningDataModule,
    folder: RunFolder,
    record: dict[str, Any],
    seed: int,
    training: TrainingOptions,
    hardware: HardwareOptions,
    interval: int = 1,
) -> dict[str, Any]:
    """Trains until the epochs, the time or the patience run out, and writes the result.

    An interrupted training continues after its last completed epoch and, on the CPU, ends with
    bitwise the weights of an uninterrupted one: the state is saved at the end of each epoch, and
    the random numbers of a step depend on `seed` and the step alone.

    Args:
        task: the network and its loss.
        data: train and validation batches; their order must depend on the epoch alone.
        folder: where everything is written.
        record: what the checkpoints say about themselves, see `checkpoints.make_record`.
        seed: of the random numbers in training (dropout).
        training, hardware: options.
        interval: epochs from one validation to the next.

    Returns:
        epochs, best_epoch, best_dice, parameters, seconds: as written to `result.json`.

    Raises:
        UserError: broken checkpoints, a full disk, hardware that is not there.
        KeyboardInterrupt: the user, or the scheduler of a cluster, stopped the training.
    """
    history = History(folder)
    checkpoints = LastAndBest(folder.last, folder.best, MONITOR, record)
    callbacks: list[Callback] = [ReseedEveryBatch(seed), history, checkpoints]
    terminal = sys.stdout.isatty()
    callbacks.append(RichProgressBar() if terminal else PrintedProgress())
    if training.patience:
        callbacks.append(ResumableEarlyStopping(MONITOR, mode="max", patience=training.patience))
    if training.max_minutes:
        limit = timedelta(minutes=training.max_minutes)
        callbacks.append(Timer(duration=limit, interval="epoch", verbose=False))
    try:
        trainer = pl.Trainer(
            accelerator=hardware.accelerator,
            devices=hardware.devices,
            num_nodes=hardware.nodes,
            strategy=hardware.strategy,
            precision=training.precision,
            max_epochs=training.max_epochs,
            gradient_clip_val=training.gradient_clip or None,
            callbacks=callbacks,
            plugins=[AtomicCheckpointIO()],
            logger=False,
            enable_progress_bar=terminal,
            check_val_every_n_epoch=interval,
            num_sanity_val_steps=0,
            enable_model_summary=False,
        )
    except (
        ValueError,
        RuntimeError,
        TypeError,
        ImportError,
        MisconfigurationException,
    ) as error:
        raise UserError(f"cannot train on this hardware: {error}") from None
    start = resumable_checkpoint(folder)
    if start is not None:
        announce(f"continuing {folder.path} after the last completed epoch")
    _fit_or_interrupt(trainer, task, data, None if start is None else str(start))
    result = {
        "epochs": len(history.rows),
        "best_epoch": checkpoints.best_epoch,
        "best_dice": checkpoints.best_score,
        "parameters": sum(parameter.numel() for parameter in task.network.parameters()),
        "seconds": sum(row["seconds"] for row in history.rows),
    }
    if trainer.is_global_zero:
        write_json(folder.result_file, result)
    return result


def resumable_checkpoint(folder: RunFolder) -> Any:
    """The newest checkpoint that can be read, `None` when no epoch was completed yet.

    Raises:
        UserError: there are checkpoints, and all of them are broken.
    """
    there = [path for path in (folder.last, folder.best) if path.exists()]
    problems = []
    for path in there:
        try:
            read_checkpoint(path)
        except UserError as error:
            problems.append(str(error))
            continue
        if problems:
            announce(f"{problems[0]}; continuing from {path.name} instead")
        return path
    if problems:
        raise UserError(f"{'; '.join(problems)}; delete {folder.path} to start again")
    return None


def _fit_or_interrupt(
    trainer: pl.Trainer, task: SegmentationTask, data: pl.LightningDataModule, start: str | None
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(task, datamodule=data, ckpt_path=start, weights_only=True)
    except SystemExit as exit_request:
        # Lightning answers an interrupt and a cluster's SIGTERM by leaving the process.
        raise KeyboardInterrupt from exit_request
    finally:
        signal.signal(signal.SIGINT, handler)


def metrics_of_epoch(trainer: pl.Trainer) -> dict[str, float]:
    """The metrics of the epoch that ends, by name; Lightning keeps those of the last validation."""
    validated = (trainer.current_epoch + 1) % (trainer.check_val_every_n_epoch or 1) == 0
    return {
        name: float(value)
        for name, value in sorted(trainer.callback_metrics.items())
        if validated or not name.startswith("validation/")
    }


class ReseedEveryBatch(Callback):
    """Makes the random numbers of a step (dropout) depend on the seed, epoch, batch and rank alone.

    Seeding once an epoch is not enough: the data loader draws from the same generator when it is
    started, which is before the epoch when a run is continued, and in the epoch when it goes on.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seeds the generators of torch."""
        entropy = (self.seed, trainer.current_epoch, batch_idx, trainer.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))


class ResumableEarlyStopping(EarlyStopping):
    """Early stopping that stays stopped: killed after its last epoch, a run trains no other."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stops at once when the patience had run out before the interruption."""
        trainer.should_stop = self.wait_count >= self.patience


class History(Callback):
    """Writes `metrics.csv`, one row an epoch; its rows are part of the checkpoints.

    So a continued run goes on where its checkpoint is, without a missing or a doubled epoch.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.rows: list[dict[str, float]] = []
        self._started = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the clock of the epoch."""
        self._started = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Adds the row of this epoch and writes the file."""
        metrics = metrics_of_epoch(trainer)
        seconds = time.perf_counter() - self._started
        self.rows.append({"epoch": trainer.current_epoch, **metrics, "seconds": round(seconds, 3)})
        if trainer.is_global_zero:
            table = io.StringIO()
            columns = sorted({name for row in self.rows for name in row} - {"epoch", "seconds"})
            names = ["epoch", *columns, "seconds"]
            writer = csv.DictWriter(table, fieldnames=names, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
            write_atomically(self.folder.metrics_file, table.getvalue())

    def state_dict(self) -> dict[str, Any]:
        """The rows so far."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continues after the rows of `state_dict`."""
        self.rows = list(state_dict["rows"])


class PrintedProgress(Callback):
    """One line an epoch, for log files and pipes, where a progress bar is of no use."""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Prints the metrics of the epoch."""
        metrics = "  ".join(f"{n} {value:.4f}" for n, value in metrics_of_epoch(trainer).items())
        announce(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  {metrics}")
