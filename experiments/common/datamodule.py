"""What the data of all studies have in common: parts read once, and an order fixed by the epoch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence, Sized
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

import numpy as np
import pytorch_lightning as pl
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from experiments.common.errors import UserError
from experiments.common.order import EpochIndex, EpochOrder
from experiments.common.splits import PARTS, Part, Split

__all__ = ["AugmentedDataset", "Item", "Samples", "StudyData", "Transform", "one_of", "shown"]

Item: TypeAlias = dict[str, Tensor | str]
Thing = TypeVar("Thing")

PARTS_OF_STAGE: Mapping[str, tuple[Part, ...]] = {
    "fit": ("train", "validation"),
    "validate": ("validation",),
    "test": ("test",),
    "predict": (),
}
"""Which parts the stages of Lightning use."""


@runtime_checkable
class Samples(Sized, Protocol):
    """A data set of known length."""

    def __getitem__(self, index: int) -> Item:
        """One sample: `image`, `mask` and `name`."""
        ...


class Transform(Protocol):
    """Random changes of a sample, such as a `Compose` of MONAI."""

    def set_random_state(self, seed: int) -> Any:
        """Fixes what the next call draws."""
        ...

    def __call__(self, item: Item, /) -> Any:
        """The changed sample."""
        ...


class AugmentedDataset(Dataset[Item]):
    """A data set whose samples are changed at random, anew in every epoch.

    What is drawn depends on seed, epoch and index alone, in whichever process.

    Args:
        samples: items to change.
        transform: the changes; None leaves the samples as they are.
        seed: of the changes.
    """

    def __init__(self, samples: Samples, transform: Transform | None, seed: int) -> None:
        self.samples = samples
        self.seed = seed
        self.transform = transform

    def __getitem__(self, key: EpochIndex) -> Item:
        """The sample `key[1]` as it is in epoch `key[0]`."""
        epoch, index = key
        item = self.samples[index]
        if self.transform is None:
            return item
        draw = np.random.SeedSequence([self.seed, epoch, index]).generate_state(1)[0]
        self.transform.set_random_state(seed=int(draw))
        changed: Item = self.transform(dict(item))
        return changed


class StudyData(pl.LightningDataModule, ABC):
    """Training, validation and test data of a study.

    The samples of a part are read when they are first asked for and kept. What a training sees
    depends only on the options of the data and on the epoch, which is that of the trainer: a
    resumed training sees exactly the same batches.

    A study says how to read a part, how to change the training samples at random, and describes
    itself.

    Args:
        split: which samples are in which part.
        batch_size: samples in a batch of the training.
        seed: of the order and the augmentation.
        workers: processes that prepare batches; 0 does it in the main process.
        transform: random changes of the training samples.
        held_out_batch_size: samples in a batch of the validation and the test; None: `batch_size`.
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        seed: int,
        workers: int,
        transform: Transform | None,
        held_out_batch_size: int | None = None,
    ) -> None:
        super().__init__()
        self.split = split
        self.batch_size = batch_size
        self.held_out_batch_size = held_out_batch_size or batch_size
        self.seed = seed
        self.workers = workers
        self.transform = transform
        self._parts: dict[Part, Samples] = {}

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """What the record of a run says about its data."""

    @abstractmethod
    def read(self, names: Sequence[str], part: Part) -> Samples:
        """The samples of these names, which are those of `part`."""

    def settled(self) -> dict[str, Any]:
        """Options that were left open, as the data decided them; checkpoints say so."""
        return {}

    @property
    def title(self) -> str:
        """The data in a word or two, for the terminal."""
        return str(self.describe()["dataset"])

    @property
    def window(self) -> int | None:
        """Edge of the windows through which larger samples are validated; None: whole samples."""
        return None

    @property
    def samples(self) -> list[str]:
        """The names of all samples in use, part by part."""
        return [name for part in PARTS for name in getattr(self.split, part)]

    def dataset_for(self, part: Part) -> Samples:
        """The samples of one part, as they are, in the order of `split`.

        Raises:
            UserError: when `part` is unknown, or a sample cannot be read.
        """
        one_of("part", part, PARTS)
        if part not in self._parts:
            self._parts[part] = self.read(getattr(self.split, part), part)
        return self._parts[part]

    def setup(self, stage: str) -> None:
        """Read the samples of a stage of Lightning before its progress bar takes the screen."""
        for part in PARTS_OF_STAGE[stage]:
            self.dataset_for(part)

    def train_dataloader(self) -> DataLoader[Item]:
        """Batches of the training samples, shuffled and augmented anew in every epoch."""
        samples = self.dataset_for("train")
        order = EpochOrder(len(samples), self.seed, self._epoch)
        changed = AugmentedDataset(samples, self.transform, self.seed)
        return self._loader(changed, self.batch_size, order)

    def val_dataloader(self) -> DataLoader[Item]:
        """Batches of the validation samples, in their order."""
        return self._loader(self.dataset_for("validation"), self.held_out_batch_size)

    def test_dataloader(self) -> DataLoader[Item]:
        """Batches of the test samples, in their order."""
        return self._loader(self.dataset_for("test"), self.held_out_batch_size)

    def _loader(
        self, samples: Any, batch_size: int, order: EpochOrder | None = None
    ) -> DataLoader[Item]:
        return DataLoader(
            samples,
            batch_size=batch_size,
            sampler=order,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def _epoch(self) -> int:
        return 0 if self.trainer is None else self.trainer.current_epoch


def one_of(option: str, value: str, allowed: Sequence[str]) -> None:
    """Raises `UserError` unless `value` is allowed."""
    if value not in allowed:
        raise UserError(f"{option} is {value!r}: choose one of {', '.join(allowed)}")


def shown(things: Iterable[Thing], doing: str, count: int) -> list[Thing]:
    """All of the things, with a progress bar on a terminal while they come."""
    console = Console(stderr=True)
    return list(
        track(
            things,
            doing,
            total=count,
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
    )
