"""The tumour data as Lightning takes it: found, checked, divided, read once and kept in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import torch
from monai.transforms import SpatialPad
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from experiments.common.datamodule import Item, StudyData, one_of, shown
from experiments.common.errors import UserError
from experiments.common.splits import PARTS, Part
from experiments.tumour.augmentation import AUGMENTATIONS, Augmentation, augmentation_transform
from experiments.tumour.generated import (
    MODALITIES,
    generated_name,
    generated_volume,
    refuse_options,
)
from experiments.tumour.labels import REGION_SETS, REGIONS, RegionSet
from experiments.tumour.sources import find_cases, modality_names
from experiments.tumour.splits import split_cases
from experiments.tumour.volumes import Volume, preprocess, read_case, refuse_small

DatasetName: TypeAlias = Literal["generated", "brats", "msd"]
DATASETS: tuple[DatasetName, ...] = get_args(DatasetName)

MULTIPLE = 16
"""Volumes are padded to multiples of this: the networks halve them four times."""

Loader: TypeAlias = Callable[[], Volume]


class TumourDataset(Dataset[Item]):
    """Volumes and masks in memory.

    Items are `{"image": float32 (modalities, depth, rows, columns), normalised, 0 outside the
    brain, "mask": float32 (regions, depth, rows, columns), 0 or 1, "name": str}`.

    Args:
        names: of the cases.
        images: float32.
        masks: uint8.
    """

    def __init__(self, names: Sequence[str], images: list[Tensor], masks: list[Tensor]) -> None:
        self.names = tuple(names)
        self.images = images
        self.masks = masks

    def __len__(self) -> int:
        """The number of cases."""
        return len(self.names)

    def __getitem__(self, index: int) -> Item:
        """One case."""
        return {
            "image": self.images[index],
            "mask": self.masks[index].float(),
            "name": self.names[index],
        }


class TumourData(StudyData):
    """Training, validation and test data of one brain-tumour data set.

    The files are found and divided on construction, so that a fault in the layout shows at once;
    the volumes of a part are read when they are first asked for and kept in memory. Volumes are
    cropped to the brain, normalised there, brought to isotropic voxels and padded with zeros to
    multiples of 16 voxels; those of a training in batches to a common shape. Validation and test
    come one by one.

    What a training sees depends only on the options here and on the epoch, which is that of the
    trainer: a resumed training sees exactly the same batches.

    Args:
        dataset: `generated`, or `brats` or `msd` from the folder `root`.
        root: where the data set was unpacked; none for `generated`.
        modalities: which to use, in this order; None takes all that there are.
        regions: `whole` tumour, or `all`: whole, core and enhancing.
        spacing: of the voxels in millimetres.
        train_cases: cases to train on, the first of a fixed random order; None takes all.
        validation_cases: cases for validation; None takes 15 % of all.
        test_cases: cases for the test; None takes 15 % of all.
        patch: edge in voxels of the patches trained on, a multiple of 16; None trains on whole
            volumes.
        batch_size: cases in a batch of the training.
        augment: `none`, `flip` or `scale`, see `experiments.tumour.augmentation`.
        seed: of the generated volumes, the split, the order and the augmentation.
        workers: processes that prepare batches; 0 does it in the main process.
        count: number of generated volumes.
        size: edge in voxels of generated volumes, of which the brain fills about nine tenths.

    Raises:
        UserError: when an option is out of range or does not fit the data set, or as `find_cases`
            and `split_cases`.
    """

    def __init__(
        self,
        dataset: DatasetName = "generated",
        root: Path | None = None,
        modalities: Sequence[str] | None = None,
        regions: RegionSet = "whole",
        spacing: float = 2.0,
        train_cases: int | None = None,
        validation_cases: int | None = None,
        test_cases: int | None = None,
        patch: int | None = None,
        batch_size: int = 1,
        augment: Augmentation = "none",
        seed: int = 0,
        workers: int = 0,
        count: int = 48,
        size: int = 48,
    ) -> None:
        one_of("dataset", dataset, DATASETS)
        one_of("regions", regions, REGION_SETS)
        one_of("augment", augment, AUGMENTATIONS)
        for option, value, least in (
            ("batch_size", batch_size, 1),
            ("workers", workers, 0),
            ("seed", seed, 0),
            ("count", count, len(PARTS)),
        ):
            if value < least:
                raise UserError(f"{option} is {value}: it should be at least {least}")
        if not 0 < spacing < np.inf:
            raise UserError(f"spacing is {spacing}: it should be a positive number of millimetres")
        if patch is not None and (patch < MULTIPLE or patch % MULTIPLE):
            raise UserError(f"patch is {patch}: it should be a multiple of {MULTIPLE} voxels")
        self.dataset = dataset
        self.root = None if root is None else Path(root)
        self.regions = REGIONS[regions]
        self.voxel = spacing
        self.patch = patch
        self.augment = augment
        self.size = size
        self.modalities: tuple[str, ...]
        if dataset == "generated":
            self.modalities, self._loaders = self._generated(modalities, count, seed)
        else:
            self.modalities, self._loaders = self._found(modalities)
        split = split_cases(list(self._loaders), seed, train_cases, validation_cases, test_cases)
        transform = augmentation_transform(augment, patch)
        super().__init__(split, batch_size, seed, workers, transform, held_out_batch_size=1)

    @property
    def title(self) -> str:
        """The data set and the spacing of its voxels."""
        return f"{self.dataset}, {self.voxel:g} mm"

    @property
    def window(self) -> int | None:
        """What is too large to be trained on as a whole is so in validation too."""
        return self.patch

    def settled(self) -> dict[str, Any]:
        """The modalities by name, in the order of the channels."""
        return {"modalities": list(self.modalities)}

    def describe(self) -> dict[str, Any]:
        """What the record of a run says about its data."""
        generated = {"size": self.size} if self.dataset == "generated" else {}
        return {
            "dataset": self.dataset,
            "root": None if self.root is None else str(self.root),
            "modalities": list(self.modalities),
            "regions": list(self.regions),
            "spacing": self.voxel,
            "patch": self.patch,
            "batch_size": self.batch_size,
            "split": self.split.kind,
            "seed": self.seed,
            "augment": self.augment,
            **generated,
            "counts": {part: len(getattr(self.split, part)) for part in PARTS},
        }

    def volume(self, name: str) -> Volume:
        """A case as it is in its files, on their grid, in the orientation of `grids.AXES`.

        Raises:
            UserError: when there is no such case, or as `read_case`.
        """
        if name not in self._loaders:
            raise UserError(f"there is no case {name!r} in {self.root or self.dataset}")
        return self._loaders[name]()

    def read(self, names: Sequence[str], part: Part) -> TumourDataset:
        """The volumes of some cases, preprocessed and padded.

        Raises:
            UserError: as `read_case`, `preprocess` and `refuse_small`.
        """
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            volumes = shown(
                pool.map(self._prepared, names), f"{self.dataset}: {part} volumes", len(names)
            )
        shapes = [_padded(volume.grid.shape, self.patch) for volume in volumes]
        if part == "train" and self.batch_size > 1:
            shapes = [tuple(np.max(shapes, axis=0).tolist())] * len(shapes)
        images, masks = [], []
        for volume, shape in zip(volumes, shapes, strict=True):
            if volume.mask is None:
                raise UserError(f"{volume.name} has no segmentation")
            images.append(_in_the_middle(volume.image, shape))
            masks.append(_in_the_middle(volume.mask, shape))
        return TumourDataset(names, images, masks)

    def _prepared(self, name: str) -> Volume:
        volume = preprocess(self.volume(name), self.voxel)
        refuse_small(volume, MULTIPLE)
        return volume

    def _generated(
        self, modalities: Sequence[str] | None, count: int, seed: int
    ) -> tuple[tuple[str, ...], dict[str, Loader]]:
        if self.root is not None:
            raise UserError(f"generated data have no folder: leave out root ({self.root})")
        refuse_options(count=count, size=self.size, spacing=self.voxel)
        chosen = MODALITIES if modalities is None else modality_names(modalities)
        for modality in chosen:
            one_of("modalities", modality, MODALITIES)
        return chosen, {
            generated_name(index): partial(
                generated_volume,
                index,
                size=self.size,
                spacing=self.voxel,
                seed=seed,
                modalities=chosen,
                regions=self.regions,
            )
            for index in range(count)
        }

    def _found(self, modalities: Sequence[str] | None) -> tuple[tuple[str, ...], dict[str, Loader]]:
        if self.root is None:
            raise UserError(f"{self.dataset} needs root, the folder where it was unpacked")
        cases = find_cases(self.dataset, self.root, modalities)
        for case in cases:
            if case.segmentation is None:
                raise UserError(
                    f"{case.name} has no segmentation: looked for it in {self.root}, every case "
                    "that is trained or tested on needs one"
                )
        return tuple(cases[0].images), {
            case.name: partial(read_case, case, self.regions) for case in cases
        }


def _padded(shape: tuple[int, ...], patch: int | None) -> tuple[int, ...]:
    """The next multiples, and no less than a patch."""
    return tuple(max(-(-length // MULTIPLE) * MULTIPLE, patch or 0) for length in shape)


def _in_the_middle(values: NDArray[Any], shape: tuple[int, ...]) -> Tensor:
    """The values, of shape (channels, *smaller), with zeros around them."""
    padded = SpatialPad(shape)(torch.from_numpy(values))
    return torch.as_tensor(np.ascontiguousarray(padded))
