"""The polyp data as Lightning takes it: found, checked, divided, read once and kept in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from experiments.common.datamodule import Item, StudyData, one_of, shown
from experiments.common.errors import UserError
from experiments.common.splits import PARTS, Part, Split
from experiments.polyp.augmentation import AUGMENTATIONS, Augmentation, augmentation
from experiments.polyp.generated import generate, generated_name
from experiments.polyp.images import Pixels, read_pair
from experiments.polyp.sources import find_samples
from experiments.polyp.splits import SplitKind, split_samples

DatasetName: TypeAlias = Literal["generated", "kvasir", "clinicdb"]
DATASETS: tuple[DatasetName, ...] = get_args(DatasetName)

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


class PolypData(StudyData):
    """Training, validation and test data of one polyp data set.

    The files are found and divided on construction, so that a fault in the layout shows at once;
    the images of a part are kept in memory at 4 bytes per pixel.

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
        one_of("dataset", dataset, DATASETS)
        one_of("augment", augment, AUGMENTATIONS)
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
        self.augment = augment
        self.lit = lit
        sequences, self._loaders = self._find(count, seed)
        if split == "sequence" and dataset != "clinicdb":
            raise UserError(f"{dataset} has no video sequences: use the split random")
        parts = _limited(split_samples(sequences, split, seed), limit_train)
        super().__init__(parts, batch_size, seed, workers, augmentation(augment))

    @property
    def title(self) -> str:
        """The data set and the size of its images."""
        return f"{self.dataset}, {self.size} px"

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
            "counts": {part: len(getattr(self.split, part)) for part in PARTS},
        }

    def read(self, names: Sequence[str], part: Part) -> PolypDataset:
        """The images of some samples.

        Raises:
            UserError: as `read_pair`.
        """
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            pairs = pool.map(lambda name: self._loaders[name](), names)
            loaded = shown(pairs, f"{self.dataset}: {part} images", len(names))
        images, masks = (np.stack(arrays) for arrays in zip(*loaded, strict=True))
        return PolypDataset(tuple(names), torch.from_numpy(images), torch.from_numpy(masks))

    def _find(self, count: int, seed: int) -> tuple[dict[str, str], dict[str, Loader]]:
        """The sequence of every sample, and how to get it."""
        if self.dataset == "generated":
            if self.root is not None:
                raise UserError(f"generated data have no folder: leave out root ({self.root})")
            names = [generated_name(index) for index in range(count)]
            return dict(zip(names, names, strict=True)), {
                name: partial(generate, index, size=self.size, seed=seed, lit=self.lit)
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
