"""The data of the polyp study: images at one size, and one region in each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

from experiments.common.errors import UserError
from experiments.data.augmentation import augmentation
from experiments.data.cases import Source
from experiments.data.checks import check_memory, check_source
from experiments.data.generated import polyps
from experiments.data.layouts import find
from experiments.data.module import StudyData
from experiments.data.split import Split, split_cases, split_groups
from experiments.data.transforms import prepare

DatasetName: TypeAlias = Literal["generated", "folder", "kvasir", "clinicdb", "nnunet"]
SplitKind: TypeAlias = Literal["random", "sequence"]


def open_data(options: Mapping[str, Any]) -> StudyData:
    """The images that a run with these options trains and is evaluated on.

    The files are found, checked and divided at once, and read when they are asked for.

    Args:
        options: those of `experiments.polyp.options.DataOptions`, by name, and the `seed`.

    Raises:
        UserError: an option does not fit the data set, or a file is faulty.
    """
    options = {"regions": None, "cache": None, **options}
    size, seed, dataset = options["size"], options["seed"], options["dataset"]
    check_memory(f"--size {size}", "an image would have", (size, size), 4)
    if dataset == "generated":
        source = polyps.source(options["count"], size=size, seed=seed, lit=options["lit"])
    else:
        source = _found(options)
    regions = source.chosen(options["regions"])
    if len(regions) > 1:
        named = ", ".join(source.regions)
        raise UserError(f"{options['root']} has the regions {named}: choose one with --regions")
    names = ["dataset", "root", "size", "batch_size", "workers", "cache", "seed", "augment"]
    described = {name: options[name] for name in names}
    if dataset == "generated":
        described["lit"] = options["lit"]
    split = _limited(_split(source, options["split"], seed), options["limit_train"])
    change = augmentation(options["augment"])
    return StudyData(source, regions, split, partial(prepare, size=size), described, change)


def _found(options: Mapping[str, Any]) -> Source:
    if options["lit"]:
        raise UserError(f"--lit is for generated data: leave it out for {options['dataset']}")
    source = find(options["dataset"], Path(options["root"]))
    if source.dim != 2:
        raise UserError(f"{options['root']} holds volumes: use python -m experiments.tumour")
    check_source(source)
    return source


def _split(source: Source, kind: SplitKind, seed: int) -> Split:
    if kind == "random":
        return split_cases([case.name for case in source.cases], seed, first="validation")
    if not all(case.group for case in source.cases):
        raise UserError(
            "--split sequence: the data set has no video sequences; use random, or say in a "
            "sequences.csv which image belongs to which"
        )
    return split_groups({case.name: case.group for case in source.cases}, seed)


def _limited(split: Split, limit: int | None) -> Split:
    """The split with the first `limit` of its training samples."""
    if limit is not None and not 1 <= limit <= len(split.train):
        raise UserError(
            f"limit_train is {limit}: it should be from 1 to {len(split.train)}, "
            "the number of training samples"
        )
    return replace(split, train=split.train[:limit])
