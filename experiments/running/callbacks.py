"""What happens in an epoch: new random numbers for every batch, the history, checkpoints.

Lightning's `ModelCheckpoint` keeps absolute paths, so that a moved run forgets its best score, and
its `CSVLogger` deletes the rows of an interrupted run; both are therefore replaced here.
"""

import time
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, Checkpoint, EarlyStopping
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from experiments.common.errors import UserError
from experiments.common.files import write_atomically
from experiments.running.checkpoints import RECORD, broken_weights
from experiments.running.run_folder import RunFolder

MONITOR = "validation/dice"


@rank_zero_only
def announce(text: str) -> None:
    """Prints a line, once, however many processes train."""
    print(text, flush=True)


class LastAndBest(Checkpoint):
    """Keeps the whole training state of the last epoch and of that with the highest `MONITOR`."""

    def __init__(self, folder: RunFolder, record: dict[str, Any]) -> None:
        self.folder, self.record = folder, record
        self.best_score, self.best_epoch = float("-inf"), -1

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the best, then the last: killed in between, the epoch is repeated as it was."""
        broken = broken_weights(pl_module.state_dict())
        if broken is not None:
            raise UserError(
                f"{self.folder.path}: the training diverged in epoch {trainer.current_epoch + 1} "
                f"({broken} is NaN or infinite); train into another folder with a lower "
                "--learning_rate"
            )
        # Between two validations this is the score of the last one, or none after an interruption.
        score = float(trainer.callback_metrics.get(MONITOR, float("-inf")))
        if score > self.best_score or self.best_epoch < 0:
            self.best_score, self.best_epoch = score, trainer.current_epoch
            trainer.save_checkpoint(self.folder.best, weights_only=False)
        trainer.save_checkpoint(self.folder.last, weights_only=False)

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
        return {"best_score": self.best_score, "best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_score, self.best_epoch = state_dict["best_score"], state_dict["best_epoch"]


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
        entropy = (self.seed, trainer.current_epoch, batch_idx, trainer.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))


class ResumableEarlyStopping(EarlyStopping):
    """Early stopping that stays stopped: killed after its last epoch, a run trains no other."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.should_stop = self.wait_count >= self.patience


class History(Callback):
    """Writes `metrics.csv`, one row an epoch, and prints it where there is no progress bar.

    Its rows are part of the checkpoints, so a continued run misses and doubles no epoch.
    """

    def __init__(self, folder: RunFolder, printed: bool) -> None:
        self.folder, self.printed = folder, printed
        self.rows: list[dict[str, float]] = []
        self._started = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._started = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Between two validations, Lightning keeps the metrics of the last one.
        validated = (trainer.current_epoch + 1) % (trainer.check_val_every_n_epoch or 1) == 0
        metrics = {
            name: float(value)
            for name, value in sorted(trainer.callback_metrics.items())
            if validated or not name.startswith("validation/")
        }
        if self.printed:
            told = "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())
            announce(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  {told}")
        seconds = round(time.perf_counter() - self._started, 3)
        self.rows.append({"epoch": trainer.current_epoch, **metrics, "seconds": seconds})
        if trainer.is_global_zero:
            table = pd.DataFrame(self.rows)
            names = sorted(set(table.columns) - {"epoch", "seconds"})
            text = table[["epoch", *names, "seconds"]].to_csv(index=False, lineterminator="\n")
            write_atomically(self.folder.metrics_file, text)

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = list(state_dict["rows"])
