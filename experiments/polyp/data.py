"""The data of the polyp study: images at one size, and one region in each."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

from experiments.common.errors import UserError
from experiments.data.augmentation import ImageChange, augmentation
from experiments.data.cases import Source
from experiments.data.checks import check_memory, check_root, check_source
from experiments.data.generated import polyps
from experiments.data.layouts import find
from experiments.data.module import StudyData
from experiments.data.split import Split, split_cases, split_groups
from experiments.data.transforms import prepare


def polyp_data(
    dataset: Literal["generated", "folder", "kvasir", "clinicdb", "nnunet"] = "generated",
    root: Path | None = None,
    regions: list[str] | None = None,
    size: int = 96,
    split: Literal["random", "sequence"] = "random",
    limit_train: int | None = None,
    augment: ImageChange = "none",
    batch_size: int = 8,
    seed: int = 0,
    workers: int = 0,
    cache: Path | None = None,
    count: int = 240,
    lit: bool = False,
) -> StudyData:
    """The images of a run. Files are found, checked and divided at once, and read when asked for.

    Args:
        dataset: generated needs no download; the others are read from --root.
        root: folder of the data set: with images/ and masks/ (folder, kvasir), or as published.
        regions: the region to outline, where the data set names several.
        size: side of the square to which images are resized, in pixels.
        split: training, validation and test images at random, or whole video sequences.
        limit_train: train with only this many images.
        augment: light: mirror, zoom, other exposure; rotate: all that, and turned by any angle.
        batch_size: images in a step.
        seed: of the generated images, the split, the order and the augmentation.
        workers: processes that load images beside the training; 0: the training itself does.
        cache: folder for prepared images that do not fit into memory; null: in memory.
        count: number of images to generate.
        lit: give the generated images a fixed direction of light, polyps and folds.

    Raises:
        UserError: an option does not fit the data set, or a file is faulty.
    """
    options = dict(locals())
    check_root(dataset, root)
    if root is None:
        source = polyps.source(count, size, seed, lit)
    else:
        if options.pop("lit"):
            raise UserError(f"--lit is for generated data: leave it out for {dataset}")
        source = find(dataset, root)
        if source.dim != 2:
            raise UserError(f"{root} holds volumes: use python -m experiments.tumour")
        check_source(source)
    chosen = source.chosen(regions)
    if len(chosen) > 1:
        named = ", ".join(source.regions)
        raise UserError(f"{root} has the regions {named}: choose one with --regions")
    parts = _split(source, split, seed).limited("limit_train", limit_train)
    shapes = dict.fromkeys(parts.names, (size, size))
    check_memory(f"--size {size}", shapes, 4, cache)
    prepared = partial(prepare, size=size)
    return StudyData(source, chosen, parts, prepared, options, augmentation(augment))


def _split(source: Source, kind: str, seed: int) -> Split:
    if kind == "random":
        drawn = split_cases([case.name for case in source.cases], seed)
        # As the published figures have it, the first that are drawn are for validation.
        return replace(drawn, validation=drawn.test, test=drawn.validation)
    if not all(case.group for case in source.cases):
        raise UserError(
            "--split sequence: the data set has no video sequences; use random, or say in a "
            "sequences.csv which image belongs to which"
        )
    return split_groups({case.name: case.group for case in source.cases}, seed)
