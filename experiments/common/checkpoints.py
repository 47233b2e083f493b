"""Checkpoint files: written whole or not at all, read without running any code in them."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.io import CheckpointIO
from pytorch_lightning.callbacks import Checkpoint

from experiments.common.errors import UserError
from experiments.common.files import write_atomically

RECORD = "gcnn"
"""The key under which a checkpoint says what it is: format, study, network and options."""

FORMAT = 1


def make_record(study: str, network: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint says about itself.

    Args:
        study: the package under `experiments` whose `networks.build_network` rebuilds the network.
        network: the arguments of `build_network`, plain types only.
        options: all options of the run, plain types only.
    """
    return {"format": FORMAT, "study": study, "network": network, "options": options}


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The contents of a checkpoint written by a study, on the CPU.

    Raises:
        UserError: there is no such file, it is broken, or it was written by another programme.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint file")
    try:
        contents = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise UserError(
            f"{path}: not a checkpoint of these experiments (it holds more than tensors and plain "
            "values, or is no checkpoint at all); give a run folder or its checkpoints/best.ckpt"
        ) from None
    except Exception as error:  # fed with anything else, the unpickler can fail in any way
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path}: broken or incomplete checkpoint ({reason})") from None
    record = contents.get(RECORD) if isinstance(contents, dict) else None
    if not isinstance(record, dict) or "state_dict" not in contents:
        raise UserError(
            f"{path}: not a checkpoint of these experiments (no entry {RECORD!r} says which "
            "network it holds); give a run folder or its checkpoints/best.ckpt"
        )
    if record.get("format") != FORMAT:
        raise UserError(
            f"{path}: checkpoint format {record.get('format')!r}, but this version reads {FORMAT}"
        )
    missing = [key for key in ("study", "network", "options") if key not in record]
    if missing:
        raise UserError(f"{path}: the checkpoint does not say its {', '.join(missing)}")
    return dict(contents)


class AtomicCheckpointIO(CheckpointIO):
    """Writes a checkpoint beside its target and renames it: no half-written one is ever found.

    Lightning's own writes to the temporary folder of the system and then moves the file, which is a
    copy, and can be interrupted, when that folder is on another disk.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Writes `checkpoint` to `path`; a full disk leaves an earlier file as it was."""
        contents = io.BytesIO()
        torch.save(checkpoint, contents)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(Path(path), contents.getvalue())

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Callable[..., Any] | None = None,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Reads with `weights_only=True` whatever was asked: nothing in a checkpoint is run."""
        return read_checkpoint(Path(path))

    def remove_checkpoint(self, path: str | Path) -> None:
        """Removes the file, if it is there."""
        Path(path).unlink(missing_ok=True)


class LastAndBest(Checkpoint):
    """Keeps the checkpoint of the last epoch and of the epoch with the highest `monitor`.

    Both are whole training states, so a run continues from either. Unlike Lightning's
    `ModelCheckpoint` it stores no absolute paths, so a run folder may be moved and still continue.

    Args:
        last: file of the last completed epoch.
        best: file of the best epoch so far.
        monitor: name of a logged metric, larger is better.
        record: see `make_record`.
    """

    def __init__(self, last: Path, best: Path, monitor: str, record: dict[str, Any]) -> None:
        self.last = last
        self.best = best
        self.monitor = monitor
        self.record = record
        self.best_score = float("-inf")
        self.best_epoch = -1

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the best, then the last: killed in between, the epoch is repeated as it was."""
        # Between two validations this is the score of the last one, or none after an interruption.
        score = float(trainer.callback_metrics.get(self.monitor, float("-inf")))
        if score > self.best_score or self.best_epoch < 0:
            self.best_score, self.best_epoch = score, trainer.current_epoch
            trainer.save_checkpoint(self.best, weights_only=False)
        trainer.save_checkpoint(self.last, weights_only=False)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Adds the record, and says that the epoch is complete.

        Lightning counts the epoch as completed only after this hook, and a run resumed from the
        uncorrected count would draw its first batches as if the epoch before were repeated.
        """
        checkpoint[RECORD] = self.record
        progress = checkpoint["loops"]["fit_loop"]["epoch_progress"]
        for counts in (progress["current"], progress["total"]):
            counts["completed"] = counts["processed"]

    def state_dict(self) -> dict[str, Any]:
        """The best score and its epoch."""
        return {"best_score": self.best_score, "best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continues from the best score and epoch of `state_dict`."""
        self.best_score = state_dict["best_score"]
        self.best_epoch = state_dict["best_epoch"]
