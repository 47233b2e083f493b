"""The data of a study as Lightning takes it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import pytorch_lightning as pl
import torch
from monai.data.dataset import CacheDataset, PersistentDataset
from monai.transforms.compose import Compose
from monai.transforms.transform import Transform
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from experiments.common.errors import UserError
from experiments.data.cases import Case, Sample, Source
from experiments.data.checks import check_masks
from experiments.data.images import read_pair
from experiments.data.order import EpochIndex, EpochOrder
from experiments.data.split import PARTS, Part, Split
from experiments.data.transforms import Prepared, pad
from experiments.data.volumes import read_volume

Item: TypeAlias = dict[str, Tensor | str]

PARTS_OF_STAGE: Mapping[str, tuple[Part, ...]] = {
    "fit": ("train", "validation"),
    "validate": ("validation",),
    "test": ("test",),
    "predict": (),
}
"""Which parts the stages of Lightning use."""


class StudyData(pl.LightningDataModule):
    """Training, validation and test data of a study.

    The samples of a part are read when they are first asked for, and prepared once. What a training
    sees depends only on the options of the data and on the epoch, which is that of the trainer: a
    resumed training sees exactly the same batches.

    Args:
        source: all samples.
        regions: those that are segmented.
        split: which samples are in which part.
        prepare: brings a sample to what the networks take.
        options: what was asked for, by name: `dataset` and others, which the record of a run
            repeats; `batch_size`, `workers`, `seed`; and `cache`, the folder for prepared samples,
            None to keep them in memory.
        transform: random changes of the training samples.
        multiple: edges are padded to multiples of this.
        patch: edge of the patches that are trained on and through which larger samples are
            validated; None for whole samples.
        one_by_one: whether samples differ in shape, so that each is validated alone.
    """

    def __init__(
        self,
        source: Source,
        regions: tuple[str, ...],
        split: Split,
        prepare: partial[Prepared],
        options: Mapping[str, Any],
        transform: Compose | None = None,
        multiple: int = 1,
        patch: int | None = None,
        one_by_one: bool = False,
    ) -> None:
        super().__init__()
        for name, least in (("batch_size", 1), ("workers", 0), ("seed", 0)):
            if options[name] < least:
                raise UserError(f"{name} is {options[name]}: it should be at least {least}")
        self.source = source
        self.modalities = source.channels
        self.regions = regions
        self.split = split
        self.prepare = prepare
        self.options = options
        self.batch_size: int = options["batch_size"]
        self.seed: int = options["seed"]
        self.transform = transform
        self.multiple = multiple
        self.window = patch
        self.one_by_one = one_by_one
        self._cases = {case.name: case for case in source.cases}
        self._parts: dict[Part, PartDataset] = {}

    @property
    def title(self) -> str:
        """The data in a word or two, for the terminal."""
        size = f"{self.options['size']} px" if self.source.dim == 2 else f"{self.voxel:g} mm"
        return f"{self.options['dataset']}, {size}"

    @property
    def voxel(self) -> float:
        """The spacing of the voxels that the network sees, in millimetres."""
        return float(self.options["spacing"])

    def describe(self) -> dict[str, Any]:
        """What the record of a run says about its data."""
        root = self.options["root"]
        left_out = ("workers", "cache", "limit_train", "train_cases")
        return {
            **{name: value for name, value in self.options.items() if name not in left_out},
            "root": None if root is None else str(root),
            "modalities": list(self.modalities),
            "regions": list(self.regions),
            "split": self.split.kind,
            "counts": self.split.sizes(),
        }

    def settled(self) -> dict[str, Any]:
        """What was left open and the data decided, by name; checkpoints say so."""
        if self.source.dim == 2:
            return {}
        table = self.source.cases[0].regions
        labels = {region: list(table.get(region, (1,))) for region in self.regions}
        return {"modalities": list(self.modalities), "labels": labels}

    def sample(self, name: str) -> Sample:
        """A case as it is in its files.

        Raises:
            UserError: there is no such case, or it cannot be read.
        """
        if name not in self._cases:
            raise UserError(f"there is no case {name!r} in {self.title}")
        case = self._cases[name]
        if case.make is not None:
            return case.make(self.regions)
        read = read_pair if self.source.dim == 2 else read_volume
        return read(case, self.regions)

    def dataset_for(self, part: Part) -> PartDataset:
        """The samples of one part, prepared, in the order of `split`.

        Raises:
            UserError: `part` is unknown, a sample cannot be read, or all training masks are empty.
        """
        one_of("part", part, PARTS)
        if part not in self._parts:
            self._parts[part] = PartDataset(self, getattr(self.split, part), part == "train")
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
        return self._loader(self.dataset_for("validation"), self._held_out)

    def test_dataloader(self) -> DataLoader[Item]:
        """Batches of the test samples, in their order."""
        return self._loader(self.dataset_for("test"), self._held_out)

    @property
    def _held_out(self) -> int:
        return 1 if self.one_by_one else self.batch_size

    def _loader(
        self, samples: Any, batch_size: int, order: EpochOrder | None = None
    ) -> DataLoader[Item]:
        return DataLoader(
            samples,
            batch_size=batch_size,
            sampler=order,
            num_workers=self.options["workers"],
            persistent_workers=self.options["workers"] > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def _epoch(self) -> int:
        return 0 if self.trainer is None else self.trainer.current_epoch


class PartDataset(Dataset[Item]):
    """The samples of one part of the data, read and prepared once by MONAI.

    Items are `{"image": float32 (channels, *space), "mask": float32 (regions, *space), 0 or 1,
    "name": str}`; images are from 0 to 1, volumes normalised and 0 outside the patient.

    Args:
        data: of the study.
        names: of the samples.
        training: whether they are trained on: in batches they then have one shape.
    """

    def __init__(self, data: StudyData, names: Sequence[str], training: bool) -> None:
        self.names = tuple(names)
        keys = [{"name": name, "state": _state(data, data._cases[name])} for name in names]
        with _user_errors():
            if data.options["cache"] is not None:
                self.items: Any = PersistentDataset(keys, _Reader(data), data.options["cache"])
            else:
                shown = sys.stderr.isatty()
                self.items = CacheDataset(
                    keys,
                    _Reader(data),
                    num_workers=os.cpu_count(),
                    progress=shown,
                    copy_cache=False,
                )
        shapes, filled = [], []
        for index in range(len(names)):
            item = self._item(index)
            edges = -(-np.array(item["image"].shape[1:]) // data.multiple) * data.multiple
            shapes.append(np.maximum(edges, data.window or 0))
            filled.append(item["mask"].flatten(1).any(1).tolist())
        if training:
            check_masks(filled, data.regions, data.title)
            if data.batch_size > 1 and data.window is None:
                shapes = [np.max(shapes, axis=0)] * len(shapes)
        self.shapes = [tuple(shape.tolist()) for shape in shapes]

    def __len__(self) -> int:
        """The number of samples."""
        return len(self.names)

    def __getitem__(self, index: int) -> Item:
        """One sample."""
        shape, item = self.shapes[index], self._item(index)
        image, mask = pad(item["image"], shape), pad(item["mask"], shape)
        image = image.float() / 255 if image.dtype == torch.uint8 else image
        return {"image": image, "mask": mask.float(), "name": item["name"]}

    def _item(self, index: int) -> Any:
        with _user_errors():
            return self.items[index]


class AugmentedDataset(Dataset[Item]):
    """A data set whose samples are changed at random, anew in every epoch.

    What is drawn depends on seed, epoch and index alone, in whichever process.

    Args:
        samples: items to change.
        transform: the changes; None leaves the samples as they are.
        seed: of the changes.
    """

    def __init__(self, samples: Any, transform: Compose | None, seed: int) -> None:
        self.samples = samples
        self.seed = seed
        self.transform = transform

    def __getitem__(self, key: EpochIndex) -> Item:
        """The sample `key[1]` as it is in epoch `key[0]`."""
        epoch, index = key
        item: Item = self.samples[index]
        if self.transform is None:
            return item
        draw = np.random.SeedSequence([self.seed, epoch, index]).generate_state(1)[0]
        self.transform.set_random_state(seed=int(draw))
        changed: Any = self.transform(dict(item))
        return dict(changed)


class _Reader(Transform):
    """Reads and prepares a sample; for MONAI, which only keeps what a `Transform` gives."""

    def __init__(self, data: StudyData) -> None:
        self.data = data

    def __call__(self, key: dict[str, str]) -> Item:
        sample = self.data.prepare(self.data.sample(key["name"]))
        if sample.mask is None:
            raise UserError(f"{sample.name} has no segmentation")
        return {"image": sample.values, "mask": sample.mask, "name": sample.name}


def one_of(option: str, value: str, allowed: Sequence[str]) -> None:
    """Raises `UserError` unless `value` is allowed."""
    if value not in allowed:
        raise UserError(f"{option} is {value!r}: choose one of {', '.join(allowed)}")


def _state(data: StudyData, case: Case) -> str:
    """What changes when the prepared sample does."""
    stats = [(path.stat().st_size, path.stat().st_mtime_ns) for path in case.files]
    made = None if case.make is None else case.make.keywords
    meaning = (dict(case.regions), dict(case.volumes), data.regions, data.prepare.keywords)
    return repr((case.files, stats, made, *meaning))


@contextmanager
def _user_errors() -> Iterator[None]:
    """Passes on a `UserError` that MONAI has wrapped in another exception."""
    try:
        yield
    except RuntimeError as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, UserError):
            cause = cause.__cause__
        raise (cause or error) from None
