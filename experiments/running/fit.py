"""Fitting a network to its data in a run folder, and continuing after an interruption."""

import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, RichProgressBar, Timer
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from experiments.common.errors import UserError
from experiments.common.files import write_json
from experiments.common.networks import parameters
from experiments.running.callbacks import (
    MONITOR,
    History,
    LastAndBest,
    ReseedEveryBatch,
    ResumableEarlyStopping,
    announce,
)
from experiments.running.checkpoints import AtomicCheckpointIO, read_checkpoint
from experiments.running.run_folder import RunFolder
from experiments.running.task import SegmentationTask
from experiments.running.training_options import TrainOptions


def fit(
    task: SegmentationTask,
    data: pl.LightningDataModule,
    folder: RunFolder,
    record: dict[str, Any],
    options: TrainOptions,
    interval: int = 1,
) -> dict[str, Any]:
    """Trains until the epochs, the time or the patience run out, and writes `result.json`.

    An interrupted training continues after its last completed epoch and, on the CPU, ends with
    bitwise the weights of an uninterrupted one: the order of the data must depend on the epoch
    alone. `record` goes into the checkpoints; every `interval` epochs the network is validated.
    """
    terminal = sys.stdout.isatty()
    history, checkpoints = History(folder, printed=not terminal), LastAndBest(folder, record)
    callbacks: list[Callback] = [ReseedEveryBatch(options.seed), history, checkpoints]
    if terminal:
        callbacks.append(RichProgressBar())
    if options.patience:
        callbacks.append(ResumableEarlyStopping(MONITOR, mode="max", patience=options.patience))
    if options.max_minutes:
        limit = timedelta(minutes=options.max_minutes)
        callbacks.append(Timer(duration=limit, interval="epoch", verbose=False))
    try:
        trainer = pl.Trainer(
            accelerator=options.accelerator,
            devices=options.devices,
            num_nodes=options.nodes,
            strategy=options.strategy,
            precision=options.precision,
            max_epochs=task.max_epochs,
            gradient_clip_val=options.gradient_clip or None,
            callbacks=callbacks,
            plugins=[AtomicCheckpointIO()],
            logger=False,
            enable_progress_bar=terminal,
            check_val_every_n_epoch=interval,
            num_sanity_val_steps=0,
            enable_model_summary=False,
        )
    except (ValueError, RuntimeError, TypeError, ImportError, MisconfigurationException) as error:
        raise UserError(f"cannot train on this hardware: {error}") from None
    start = _resumable_checkpoint(folder)
    if start is not None:
        announce(f"continuing {folder.path} after the last completed epoch")
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(task, datamodule=data, ckpt_path=start, weights_only=True)
    except SystemExit as exit_request:
        # Lightning answers an interrupt and a cluster's SIGTERM by leaving the process.
        raise KeyboardInterrupt from exit_request
    finally:
        signal.signal(signal.SIGINT, handler)
    result = {
        "epochs": len(history.rows),
        "best_epoch": checkpoints.best_epoch,
        "best_dice": checkpoints.best_score,
        "parameters": parameters(task.network),
        "seconds": sum(row["seconds"] for row in history.rows),
    }
    if trainer.is_global_zero:
        write_json(folder.result_file, result)
    return result


def _resumable_checkpoint(folder: RunFolder) -> Path | None:
    """The newest checkpoint that can be read, `None` when no epoch was completed yet."""
    problems: list[str] = []
    for path in filter(Path.exists, (folder.last, folder.best)):
        try:
            read_checkpoint(path)
        except UserError as error:
            problems.append(str(error))
        else:
            if problems:
                announce(f"{problems[0]}; continuing from {path.name} instead")
            return path
    if problems:
        raise UserError(f"{'; '.join(problems)}; delete {folder.path} to start again")
    return None
