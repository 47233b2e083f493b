"""Faults of data and options that show before the work starts, from headers alone."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from experiments.common.errors import UserError
from experiments.data.cases import Case, Source
from experiments.data.images import open_image
from experiments.data.volumes import Header, read_headers

PROBE = 1 << 16  # bytes from the middle of a file that tell it from others of the same length
COPIES = 4  # as many times the memory of one sample is needed to prepare it


def say(notes: Iterable[str]) -> None:
    """Tell the user on stderr what is doubtful: the first of the notes, and how many there are."""
    found = [note for note in notes if note]
    if found:
        more = f" (and {len(found) - 1} more like it)" if len(found) > 1 else ""
        print(f"note: {found[0]}{more}", file=sys.stderr)


def check_root(dataset: str, root: Path | None) -> None:
    """Raises `UserError` for a folder that is missing, or that generated data does not need."""
    if dataset != "generated" and root is None:
        raise UserError(f"--dataset {dataset}: say where it is with --root")
    if dataset == "generated" and root is not None:
        raise UserError(f"--root {root}: generated data needs none; say what it is with --dataset")


def check_source(source: Source) -> dict[str, Header]:
    """Look at every file of a data set; the headers of volumes, by the names of their cases."""
    for case in source.cases:
        if case.label is None:
            where = case.files[0].parent
            raise UserError(f"{case.name} has no segmentation: every case in {where} needs one")
    headers: dict[str, Header] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        if source.dim == 3:
            found = zip(source.cases, pool.map(read_headers, source.cases), strict=True)
            headers = {case.name: of_files[case.files[0]] for case, of_files in found}
        else:
            files = [file for case in source.cases for file in case.files]
            list(pool.map(lambda file: open_image(file, whole=False).close(), files))
    say(header.note for header in headers.values())
    _check_copies(source)
    return headers


def check_patch(patch: int | None, longest: int, multiple: int) -> None:
    """Refuse a patch larger than every volume, the longest edge of which is given in voxels."""
    most = -(-longest // multiple) * multiple
    if patch is not None and (patch < multiple or patch % multiple or patch > most):
        raise UserError(
            f"--patch {patch}: must be a multiple of {multiple} up to {most}, as the longest "
            f"edge of all volumes has {longest} voxels; or leave it out"
        )


def check_memory(
    option: str, shapes: Mapping[str, Sequence[int]], point: int, cache: Path | None = None
) -> None:
    """Refuse a sample that does not fit into memory, and say when all together do not.

    Args:
        option: as typed, `--size 96`, `--spacing 2.0` or `--scales 3`, whose value is to blame; or
            whatever else is.
        shapes: of the prepared samples, by name.
        point: bytes of a pixel or voxel, all channels and masks together.
        cache: folder that keeps the prepared samples instead of the memory.
    """
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    needed = {name: point * np.prod(shape, dtype=float) for name, shape in shapes.items()}
    name = max(needed, key=lambda name: needed[name])
    if COPIES * needed[name] > memory:
        shrink = (memory / needed[name] / COPIES) ** (1 / len(shapes[name]))
        word, _, value = option.partition(" ")
        fits = ""
        if word == "--spacing":
            fits = f"; {float(value) / shrink:.2g} would fit"
        elif word in ("--size", "--scales"):
            digits = 10 if word == "--scales" else 1
            fits = f"; {int(digits * float(value) * shrink) / digits:g} would fit"
        raise UserError(
            f"{option}: {name} would have {'x'.join(map(str, shapes[name]))} points and take "
            f"{COPIES * needed[name] / 1e9:,.0f} GB of memory, but this machine has "
            f"{memory / 1e9:,.0f} GB{fits}"
        )
    together = sum(needed.values())
    if cache is None and together > memory:
        told = f"{len(shapes)} prepared samples take up to {together / 1e9:,.0f} GB of memory"
        say([f"{told}, but this machine has {memory / 1e9:,.0f} GB: keep them on disk by --cache"])


def check_masks(filled: Sequence[Sequence[bool]], regions: Sequence[str], where: str) -> None:
    """Refuse training masks that are all empty, `filled` being [case][region]."""
    missing = [name for name, of in zip(regions, np.transpose(filled), strict=True) if not of.any()]
    if len(missing) == len(regions):
        raise UserError(f"all {len(filled)} training masks of {where} are empty: nothing to learn")
    say(f"no training mask of {where} has any {region}" for region in missing)


def _check_copies(source: Source) -> None:
    """The same under two names would be trained on and tested on."""
    seen: dict[tuple[int, bytes], Case] = {}
    notes = []
    for case in source.cases:
        with case.files[0].open("rb") as file:
            length = file.seek(0, 2)
            file.seek(max(0, (length - PROBE) // 2))
            other = seen.setdefault((length, file.read(PROBE)), case)
        if other is not case:
            same = f"{case.files[0]} holds the same as {other.files[0]}"
            notes.append(f"{case.name} is a copy of {other.name}: {same}; keep one of the two")
    if notes and source.dim == 3:
        raise UserError(notes[0])
    say(notes)
