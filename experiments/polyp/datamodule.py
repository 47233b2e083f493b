"""The polyp data as Lightning takes it: found, checked, divided, read once and kept in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import pytorch_lightning as pl
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from experiments.common.errors import UserError
from experiments.common.order import EpochOrder
from experiments.common.splits import PARTS, Part, Split
from experiments.polyp.augmentation import (
    AUGMENTATIONS,
    Augmentation,
    AugmentedDataset,
    Item,
)
from experiments.polyp.generated import generate, generated_name
from experiments.polyp.images import Pixels, read_pair
from experiments.polyp.sources import find_samples
from experiments.polyp.splits import SplitKind, split_samples

DatasetName: TypeAlias = Literal["generated", "kvasir", "clinicdb"]
DATASETS: tuple[DatasetName, ...] = get_args(DatasetName)

PARTS_OF_STAGE: Mapping[str, tuple[Part, ...]] = {
    "fit": ("train", "validation"),
    "validate": ("validation",),
    "test": ("test",),
    "predict": (),
}
"""Which parts the stages of Lightning use."""

Loader: TypeAlias = Callable[[], tuple[Pixels, Pixels]]


class PolypDataset(Dataset[Item]):
    """Images and masks in memory, as bytes.

    Items are `{"image": float32 (3, size, size) from 0 to 1, "mask": float32 (1, size, size), 0 or
    1, "name": str}`.

    Args:
        names: of the samples.
        images: uint8, of shape (count, 3, size, size).
        masks: uint8, of shape (count, 1, size, size), 0 or 1.
    """

    def __init__(self, names: tuple[str, ...], images: Tensor, masks: Tensor) -> None:
        self.names = names
        self.images = images
        self.masks = masks

    def __len__(self) -> int:
        """The number of samples."""
        return len(self.names)

    def __getitem__(self, index: int) -> Item:
        """One sample."""
        return {
            "image": self.images[index].float() / 255,
            "mask": self.masks[index].float(),
            "name": self.names[index],
        }


class PolypData(pl.LightningDataModule):
    """Training, validation and test data of one polyp data set.

    The files are found and divided on construction, so that a fault in the layout shows at once;
    the images of a part are read when they are first asked for and kept in memory, at 4 bytes per
    pixel.

    What a training sees depends only on the options here and on the epoch, which is that of the
    trainer: a resumed training sees exactly the same batches.

    Args:
        dataset: `generated`, or `kvasir` or `clinicdb` from the folder `root`.
        root: where the data set was unpacked; none for `generated`.
        size: height and width in pixels to which images are brought.
        batch_size: samples in a batch.
        split: `random`, or `sequence` (of `clinicdb` alone): whole video sequences.
        seed: of the generated samples, the split, the order and the augmentation.
        workers: processes that prepare batches; 0 does it in the main process.
        augment: `none`, `light` or `rotate`, see `experiments.polyp.augmentation`.
        count: number of generated samples.
        limit_train: train on this many samples only, the first of a fixed random order.
        lit: generated samples keep a fixed direction of light, polyps and folds.

    Raises:
        UserError: when an option is out of range or does not fit the data set, or as
            `find_samples` and `split_samples`.
    """

    def __init__(
        self,
        dataset: DatasetName = "generated",
        root: Path | None = None,
        size: int = 96,
        batch_size: int = 8,
        split: SplitKind = "random",
        seed: int = 0,
        workers: int = 0,
        augment: Augmentation = "none",
        count: int = 240,
        limit_train: int | None = None,
        lit: bool = False,
    ) -> None:
        super().__init__()
        _one_of("dataset", dataset, DATASETS)
        _one_of("augment", augment, AUGMENTATIONS)
        for option, value, least in (
            ("size", size, 1),
            ("batch_size", batch_size, 1),
            ("workers", workers, 0),
            ("seed", seed, 0),
            ("count", count, len(PARTS)),
        ):
            if value < least:
                raise UserError(f"{option} is {value}: it should be at least {least}")
        self.dataset = dataset
        self.root = root
        self.size = size
        self.batch_size = batch_size
        self.seed = seed
        self.workers = workers
        self.augment = augment
        self.lit = lit
        sequences, self._loaders = self._find(count)
        if split == "sequence" and dataset != "clinicdb":
            raise UserError(f"{dataset} has no video sequences: use the split random")
        self.split = _limited(split_samples(sequences, split, seed), limit_train)
        self._parts: dict[Part, PolypDataset] = {}

    @property
    def samples(self) -> list[str]:
        """The names of all samples in use, part by part."""
        return [name for part in PARTS for name in self._names(part)]

    def describe(self) -> dict[str, Any]:
        """What the record of a run says about its data."""
        generated = {"lit": self.lit} if self.dataset == "generated" else {}
        return {
            "dataset": self.dataset,
            "root": None if self.root is None else str(self.root),
            "size": self.size,
            "batch_size": self.batch_size,
            "split": self.split.kind,
            "seed": self.seed,
            "augment": self.augment,
            **generated,
            "counts": {part: len(self._names(part)) for part in PARTS},
        }

    def dataset_for(self, part: Part) -> PolypDataset:
        """The samples of one part, as they are, in the order of `split`.

        Raises:
            UserError: when `part` is unknown, or as `read_pair`.
        """
        _one_of("part", part, PARTS)
        if part not in self._parts:
            self._parts[part] = self._read(part)
        return self._parts[part]

    def setup(self, stage: str) -> None:
        """Read the images of a stage of Lightning before its progress bar takes the screen."""
        for part in PARTS_OF_STAGE[stage]:
            self.dataset_for(part)

    def train_dataloader(self) -> DataLoader[Item]:
        """Batches of the training samples, shuffled and augmented anew in every epoch."""
        samples = self.dataset_for("train")
        return self._loader(
            AugmentedDataset(samples, self.augment, self.seed),
            EpochOrder(len(samples), self.seed, self._epoch),
        )

    def val_dataloader(self) -> DataLoader[Item]:
        """Batches of the validation samples, in their order."""
        return self._loader(self.dataset_for("validation"))

    def test_dataloader(self) -> DataLoader[Item]:
        """Batches of the test samples, in their order."""
        return self._loader(self.dataset_for("test"))

    def _find(self, count: int) -> tuple[dict[str, str], dict[str, Loader]]:
        """The sequence of every sample, and how to get it."""
        if self.dataset == "generated":
            if self.root is not None:
                raise UserError(f"generated data have no folder: leave out root ({self.root})")
            names = [generated_name(index) for index in range(count)]
            return dict(zip(names, names, strict=True)), {
                name: partial(generate, index, size=self.size, seed=self.seed, lit=self.lit)
                for index, name in enumerate(names)
            }
        if self.lit:
            raise UserError(f"lit is for generated data: leave it out for {self.dataset}")
        if self.root is None:
            raise UserError(f"{self.dataset} needs root, the folder where it was unpacked")
        found = find_samples(self.dataset, self.root)
        return {sample.name: sample.sequence for sample in found}, {
            sample.name: partial(read_pair, sample.image, sample.mask, self.size)
            for sample in found
        }

    def _names(self, part: Part) -> tuple[str, ...]:
        names: tuple[str, ...] = getattr(self.split, part)
        return names

    def _read(self, part: Part) -> PolypDataset:
        names = self._names(part)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            pairs = pool.map(lambda name: self._loaders[name](), names)
            console = Console(stderr=True)
            shown = track(
                pairs,
                f"{self.dataset}: {part} images",
                total=len(names),
                console=console,
                transient=True,
                disable=not console.is_terminal,
            )
            loaded = list(shown)
        images, masks = (np.stack(arrays) for arrays in zip(*loaded, strict=True))
        return PolypDataset(names, torch.from_numpy(images), torch.from_numpy(masks))

    def _loader(self, samples: Dataset[Item], order: EpochOrder | None = None) -> DataLoader[Item]:
        return DataLoader(
            samples,
            batch_size=self.batch_size,
            sampler=order,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def _epoch(self) -> int:
        return 0 if self.trainer is None else self.trainer.current_epoch


def _one_of(option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UserError(f"{option} is {value!r}: choose one of {', '.join(allowed)}")


def _limited(split: Split, limit: int | None) -> Split:
    """The split with the first `limit` of its training samples."""
    if limit is None:
        return split
    if not 1 <= limit <= len(split.train):
        raise UserError(
            f"limit_train is {limit}: it should be from 1 to {len(split.train)}, "
            "the number of training samples"
        )
    return replace(split, train=split.train[:limit])
