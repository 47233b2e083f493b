"""The data of the tumour study: volumes of isotropic voxels, with one region or several."""

import math
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

from experiments.common.errors import UserError
from experiments.common.inference import MULTIPLE
from experiments.data.augmentation import VolumeChange, augmentation
from experiments.data.cases import Sample
from experiments.data.checks import (
    check_memory,
    check_patch,
    check_root,
    check_source,
    check_spacing,
)
from experiments.data.generated import tumours
from experiments.data.layouts import find
from experiments.data.module import StudyData
from experiments.data.split import split_cases
from experiments.data.transforms import Prepared, prepare

DatasetName: TypeAlias = Literal["generated", "brats", "msd", "nnunet"]

LEAST = 8
"""Voxels along every axis; of a smaller volume most would be padding."""


def check_cube(name: str, edge: int | None) -> None:
    """Raises `UserError` unless every network takes cubes of this edge; None stands for another."""
    if edge is not None and (edge < MULTIPLE or edge % MULTIPLE):
        raise UserError(f"--{name} {edge}: must be a multiple of {MULTIPLE}")


def tumour_data(
    dataset: DatasetName = "generated",
    root: Path | None = None,
    modalities: list[str] | None = None,
    regions: list[str] | None = None,
    spacing: float = 2.0,
    train_cases: int | None = None,
    validation_cases: int | None = None,
    test_cases: int | None = None,
    patch: int | None = None,
    augment: VolumeChange = "none",
    batch_size: int = 1,
    seed: int = 0,
    workers: int = 0,
    cache: Path | None = None,
    count: int = 48,
    size: int = 48,
) -> StudyData:
    """The volumes of a run. Files are found, checked and divided at once, and read when asked for.

    Volumes are padded with zeros to multiples of 16 voxels; those of a training in batches to a
    common shape.

    Args:
        dataset: generated needs no download; the others are read from --root.
        root: folder of the data set: a folder for each case (brats), or with imagesTr/ (msd,
            nnunet).
        modalities: which to use, such as flair t1ce; null: all there are.
        regions: what to outline, by name, or all; null: the whole of a brain tumour, of other data
            all.
        spacing: edge of the voxels to which volumes are brought, in millimetres.
        train_cases: train on only this many cases.
        validation_cases: cases to choose the best epoch by; null: 15 %.
        test_cases: cases for the test; null: 15 %.
        patch: train on cubes of this edge in voxels, a multiple of 16; null: on whole volumes.
        augment: flip: mirrored left to right; scale: that, and zoomed by 0.7 to 1.1.
        batch_size: volumes or cubes in a step.
        seed: of the generated volumes, the split, the order and the augmentation.
        workers: processes that prepare volumes beside the training; 0: the training itself does.
        cache: folder for prepared volumes that do not fit into memory; null: in memory.
        count: number of volumes to generate.
        size: edge of generated volumes in voxels.

    Raises:
        UserError: an option does not fit the data set, or a file is faulty.
    """
    if not 0 < spacing < math.inf:
        raise UserError(f"--spacing {spacing}: must be a positive number of millimetres")
    check_cube("patch", patch)
    check_root(dataset, root)
    described: dict[str, Any] = {
        "dataset": dataset,
        "root": root,
        "spacing": spacing,
        "patch": patch,
        "batch_size": batch_size,
        "workers": workers,
        "cache": cache,
        "seed": seed,
        "augment": augment,
    }
    if root is None:
        described["size"] = size
        check_memory(f"--size {size}", "a volume would have", (size,) * 3, 8)
        check_patch(patch, size, MULTIPLE)
        source = tumours.source(count, size, spacing, seed, modalities or tumours.MODALITIES)
    else:
        source = find(dataset, root, modalities)
        if source.dim != 3:
            raise UserError(f"{root} holds images: use python -m experiments.polyp")
        channels = len(source.channels) + len(source.chosen(regions))
        longest = check_spacing(spacing, check_source(source), channels)
        check_patch(patch, longest, MULTIPLE)
    sizes = {"train": train_cases, "validation": validation_cases, "test": test_cases}
    return StudyData(
        source,
        source.chosen(regions),
        split_cases([case.name for case in source.cases], seed, sizes),
        partial(_prepared, spacing=spacing),
        described,
        augmentation(augment, patch),
        MULTIPLE,
        patch,
        one_by_one=True,
    )


def _prepared(sample: Sample, spacing: float) -> Prepared:
    prepared = prepare(sample, spacing=spacing)
    shape = prepared.image.shape[1:]
    if min(shape) < LEAST:
        raise UserError(
            f"{sample.name} is {'x'.join(map(str, shape))} voxels of {spacing:g} mm where there is "
            f"something, but at least {LEAST} are needed along every axis: choose a finer spacing"
        )
    return prepared
