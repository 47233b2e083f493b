"""The data of the tumour study: volumes of isotropic voxels, with one region or several."""

import math
from functools import partial
from pathlib import Path
from typing import Literal

from experiments.common.errors import UserError
from experiments.common.inference import MULTIPLE
from experiments.data.augmentation import VolumeChange, augmentation
from experiments.data.cases import Sample
from experiments.data.checks import check_memory, check_patch, check_root, check_source
from experiments.data.generated import tumours
from experiments.data.layouts import find
from experiments.data.module import StudyData
from experiments.data.split import split_cases
from experiments.data.transforms import Prepared, prepare, shape_at

LEAST = 8
"""Voxels along every axis; of a smaller volume most would be padding."""


def tumour_data(
    dataset: Literal["generated", "brats", "msd", "nnunet"] = "generated",
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
    options = dict(locals())
    if not 0 < spacing < math.inf:
        raise UserError(f"--spacing {spacing}: must be a positive number of millimetres")
    check_root(dataset, root)
    if root is None:
        source = tumours.source(count, size, spacing, seed, modalities or tumours.MODALITIES)
        blamed, shapes = f"--size {size}", {case.name: (size,) * 3 for case in source.cases}
    else:
        del options["size"]
        source = find(dataset, root, modalities)
        if source.dim != 3:
            raise UserError(f"{root} holds images: use python -m experiments.polyp")
        headers = check_source(source).items()
        shapes = {name: shape_at(spacing, one.shape, one.spacing) for name, one in headers}
        blamed = f"--spacing {spacing}"
    chosen = source.chosen(regions)
    check_patch(patch, max(map(max, shapes.values())), MULTIPLE)
    names = [case.name for case in source.cases]
    split = split_cases(names, seed, validation_cases, test_cases)
    split = split.limited("train_cases", train_cases)
    used = {name: shapes[name] for name in split.names}
    check_memory(blamed, used, 4 * len(source.channels) + len(chosen), cache)
    return StudyData(
        source,
        chosen,
        split,
        partial(_prepared, spacing=spacing),
        options,
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
