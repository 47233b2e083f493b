"""The data of the tumour study: volumes of isotropic voxels, with one region or several."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

from experiments.common.errors import UserError
from experiments.data.augmentation import augmentation
from experiments.data.cases import Sample, Source
from experiments.data.checks import check_memory, check_patch, check_source, check_spacing
from experiments.data.generated import tumours
from experiments.data.layouts import find
from experiments.data.module import StudyData
from experiments.data.split import split_cases
from experiments.data.transforms import Prepared, prepare

DatasetName: TypeAlias = Literal["generated", "brats", "msd", "nnunet"]

MULTIPLE = 16
"""Volumes are padded to multiples of this: the networks halve them four times."""

LEAST = 8
"""Voxels along every axis; of a smaller volume most would be padding."""


def open_data(options: Mapping[str, Any]) -> StudyData:
    """The volumes that a run with these options trains and is evaluated on.

    The files are found, checked and divided at once, and read when they are asked for. Volumes are
    padded with zeros to multiples of 16 voxels; those of a training in batches to a common shape.

    Args:
        options: those of `experiments.tumour.options.DataOptions` and `CaseOptions`, by name, and
            the `seed`.

    Raises:
        UserError: an option does not fit the data set, or a file is faulty.
    """
    options = {"cache": None, **options}
    spacing, patch, seed = options["spacing"], options["patch"], options["seed"]
    if not 0 < spacing < math.inf:
        raise UserError(f"spacing is {spacing}: it should be a positive number of millimetres")
    if options["dataset"] == "generated":
        size = options["size"]
        check_memory(f"--size {size}", "a volume would have", (size,) * 3, 8)
        check_patch(patch, size, MULTIPLE)
        source = tumours.source(
            options["count"], size, spacing, seed, options["modalities"] or tumours.MODALITIES
        )
    else:
        source = _found(options)
    names = ["dataset", "root", "spacing", "patch", "batch_size", "workers", "cache", "seed"]
    described = {name: options[name] for name in [*names, "augment"]}
    if options["dataset"] == "generated":
        described["size"] = options["size"]
    sizes = {part: options[f"{part}_cases"] for part in ("train", "validation", "test")}
    return StudyData(
        source,
        source.chosen(options["regions"]),
        split_cases([case.name for case in source.cases], seed, sizes),
        partial(_prepared, spacing=spacing),
        described,
        augmentation(options["augment"], patch),
        MULTIPLE,
        patch,
        one_by_one=True,
    )


def _found(options: Mapping[str, Any]) -> Source:
    source = find(options["dataset"], Path(options["root"]), options["modalities"])
    if source.dim != 3:
        raise UserError(f"{options['root']} holds images: use python -m experiments.polyp")
    channels = len(source.channels) + len(source.chosen(options["regions"]))
    longest = check_spacing(options["spacing"], check_source(source), channels)
    check_patch(options["patch"], longest, MULTIPLE)
    return source


def _prepared(sample: Sample, spacing: float) -> Prepared:
    prepared = prepare(sample, spacing=spacing)
    shape = prepared.image.shape[1:]
    if min(shape) < LEAST:
        raise UserError(
            f"{sample.name} is {'x'.join(map(str, shape))} voxels of {spacing:g} mm where there is "
            f"something, but at least {LEAST} are needed along every axis: choose a finer spacing"
        )
    return prepared
