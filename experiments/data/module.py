"""The data of a study as Lightning takes it."""

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
from monai.transforms.utility.array import Lambda
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from experiments.command_line.options import check_at_least, check_seed
from experiments.common.errors import UserError
from experiments.data.cases import Sample, Source
from experiments.data.checks import check_masks
from experiments.data.images import read_pair
from experiments.data.order import EpochOrder
from experiments.data.split import PARTS, Part, Split
from experiments.data.transforms import Prepared, pad
from experiments.data.volumes import read_volume

Item: TypeAlias = dict[str, Tensor | str]

DESCRIBED = ["dataset", "root", "size", "spacing", "patch", "batch_size", "seed", "augment", "lit"]
"""The options that the record of an evaluation repeats."""


class StudyData(pl.LightningDataModule):
    """Training, validation and test data of a study.

    The samples of a part are read when they are first asked for, and prepared once. What a training
    sees depends only on the options of the data and on the epoch, which is that of the trainer: a
    resumed training sees exactly the same batches.

    Args:
        source: all samples, of which `regions` are segmented.
        regions: their names.
        split: which samples are in which part.
        prepare: brings a sample to what the networks take.
        options: by name, `dataset`, `root`, `batch_size`, `workers`, `seed`, `cache`, `size` of
            images or `spacing` of volumes, and any others.
        transform: random changes of the training samples.
        multiple: edges are padded to multiples of this.
        patch: edge of what is trained on and validated through; None for whole samples.
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
        check_at_least("batch_size", options["batch_size"], 1)
        check_at_least("workers", options["workers"], 0)
        check_seed("seed", options["seed"])
        self.source, self.regions, self.split = source, regions, split
        self.prepare, self.options, self.transform = prepare, options, transform
        self.multiple, self.window, self.one_by_one = multiple, patch, one_by_one
        self.modalities = source.channels
        self.batch_size: int = options["batch_size"]
        self._cases = {case.name: case for case in source.cases}
        self._parts: dict[Part, Any] = {}

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
        """What the record of an evaluation says about its data."""
        options = {name: self.options[name] for name in DESCRIBED if name in self.options}
        return {
            **options,
            "root": options["root"] and str(options["root"]),
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
        """A case as it is in its files."""
        if name not in self._cases:
            raise UserError(f"there is no case {name!r} in {self.title}")
        case = self._cases[name]
        if case.make is not None:
            return case.make(self.regions)
        read = read_pair if self.source.dim == 2 else read_volume
        return read(case, self.regions)

    def state(self, name: str) -> str:
        """What changes when a prepared sample does."""
        case = self._cases[name]
        stats = [(path.stat().st_size, path.stat().st_mtime_ns) for path in case.files]
        made = None if case.make is None else case.make.keywords
        meaning = (dict(case.regions), dict(case.volumes), self.regions, self.prepare.keywords)
        return repr((case.files, stats, made, *meaning))

    def read(self, key: Mapping[str, str]) -> Item:
        """A sample, prepared."""
        sample = self.prepare(self.sample(key["name"]))
        if sample.mask is None:
            raise UserError(f"{sample.name} has no segmentation")
        return {"image": sample.values, "mask": sample.mask, "name": sample.name}

    def dataset_for(self, part: Part) -> "PartDataset":
        """The samples of one part, prepared, in the order of `split`."""
        if part not in PARTS:
            raise UserError(f"part is {part!r}: choose one of {', '.join(PARTS)}")
        if part not in self._parts:
            self._parts[part] = PartDataset(self, getattr(self.split, part), part == "train")
        return self._parts[part]

    def setup(self, stage: str) -> None:
        """Read the samples of a training before its progress bar takes the screen."""
        self.dataset_for("train")
        self.dataset_for("validation")

    def train_dataloader(self) -> DataLoader[Item]:
        """Batches of the training samples, shuffled and augmented anew in every epoch."""
        samples, seed = self.dataset_for("train"), self.options["seed"]
        order = EpochOrder(len(samples), seed, lambda: getattr(self.trainer, "current_epoch", 0))
        return self._loader(AugmentedDataset(samples, self.transform, seed), self.batch_size, order)

    def val_dataloader(self) -> DataLoader[Item]:
        """Batches of the validation samples, in their order."""
        together = 1 if self.one_by_one else self.batch_size
        return self._loader(self.dataset_for("validation"), together)

    def _loader(
        self, samples: Any, batch_size: int, order: EpochOrder | None = None
    ) -> DataLoader[Item]:
        workers = self.options["workers"]
        return DataLoader(
            samples,
            batch_size,
            sampler=order,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
        )


class PartDataset(Dataset[Item]):
    """The samples of one part of the data, read and prepared once by MONAI.

    Items are `{"image": float32 (channels, *space), "mask": float32 (regions, *space), 0 or 1,
    "name": str}`; images are from 0 to 1, volumes normalised and 0 outside the patient.
    """

    def __init__(self, data: StudyData, names: Sequence[str], training: bool) -> None:
        self.names = tuple(names)
        cases = [{"name": name, "state": data.state(name)} for name in names]
        cache, read = data.options["cache"], Lambda(data.read)
        memory = {"num_workers": os.cpu_count(), "progress": sys.stderr.isatty()}
        with _user_errors():
            if cache is not None:
                self.items: Any = PersistentDataset(cases, read, cache)
            else:
                self.items = CacheDataset(cases, read, copy_cache=False, **memory)
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
        return len(self.names)

    def __getitem__(self, index: int) -> Item:
        shape, item = self.shapes[index], self._item(index)
        image, mask = pad(item["image"], shape), pad(item["mask"], shape)
        image = image.float() / 255 if image.dtype == torch.uint8 else image
        return {"image": image, "mask": mask.float(), "name": item["name"]}

    def _item(self, index: int) -> Any:
        with _user_errors():
            return self.items[index]


class AugmentedDataset(Dataset[Item]):
    """Samples as changed at random in an epoch: a function of seed, epoch and index alone."""

    def __init__(self, samples: Any, transform: Compose | None, seed: int) -> None:
        self.samples, self.transform, self.seed = samples, transform, seed

    def __getitem__(self, key: tuple[int, int]) -> Item:
        """The sample `key[1]` as it is in epoch `key[0]`."""
        item: Item = self.samples[key[1]]
        if self.transform is None:
            return item
        draw = np.random.SeedSequence([self.seed, *key]).generate_state(1)[0]
        self.transform.set_random_state(seed=int(draw))
        changed: Any = self.transform(dict(item))
        return dict(changed)


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
