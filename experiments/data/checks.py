"""Faults of data and options that show before the work starts, from headers alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from experiments.common.errors import UserError
from experiments.data.cases import Case, Source
from experiments.data.images import open_image
from experiments.data.transforms import resized_shape
from experiments.data.volumes import Header, read_header, refuse_other_grid

PROBE = 1 << 16
"""Bytes from the middle of a file that tell it from others of the same length."""

COPIES = 4
"""As many times the memory of one sample is needed to prepare it."""


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
    """Look at every file of a data set without reading its values.

    Returns:
        The headers of the volumes, by the names of their cases; empty for images.

    Raises:
        UserError: a case has no labels, a file is missing or corrupt, the files of a case are not
            on the same grid, or two cases hold the same volume. The same image twice is said.
    """
    for case in source.cases:
        if case.label is None:
            raise UserError(
                f"{case.name} has no segmentation: every case in {case.files[0].parent}"
                " is trained or tested on, and needs one"
            )
    headers: dict[str, Header] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        if source.dim == 3:
            found = pool.map(_headers_agree, source.cases)
            headers = {case.name: one for case, one in zip(source.cases, found, strict=True)}
        else:
            files = [file for case in source.cases for file in case.files]
            for _ in pool.map(lambda file: open_image(file, whole=False), files):
                pass
    say(header.note for header in headers.values())
    _check_copies(source)
    return headers


def check_spacing(spacing: float, headers: Mapping[str, Header], channels: int) -> int:
    """Refuse voxels so small that a volume does not fit into memory.

    Args:
        spacing: of the voxels of the network, in millimetres.
        headers: of the volumes, by the names of their cases.
        channels: of an image and its mask together.

    Returns:
        The longest edge of all volumes in such voxels.

    Raises:
        UserError: with the number, and what fits.
    """
    shapes = {
        name: resized_shape(header.shape[:3], header.spacing.tolist(), spacing)
        for name, header in headers.items()
    }
    name = max(shapes, key=lambda name: np.prod(shapes[name], dtype=float))
    check_memory(f"--spacing {spacing:g}", f"{name} would have", shapes[name], channels, spacing)
    return max(max(shape) for shape in shapes.values())


def check_patch(patch: int | None, longest: int, multiple: int) -> None:
    """Refuse a patch that is larger than every volume.

    Args:
        patch: edge of the cubes in training, in voxels.
        longest: edge of all volumes in such voxels.
        multiple: to which edges are padded.

    Raises:
        UserError: with the number, and what fits.
    """
    most = -(-longest // multiple) * multiple
    if patch is not None and (patch < multiple or patch % multiple or patch > most):
        raise UserError(
            f"--patch {patch}: it should be a multiple of {multiple} up to {most}, as the longest "
            f"edge of all volumes has {longest} voxels; or leave it out"
        )


def check_memory(
    option: str,
    what: str,
    shape: Sequence[int],
    channels: int,
    spacing: float | None = None,
    scale: float | None = None,
) -> None:
    """Refuse a sample that does not fit into the memory of this machine.

    Raises:
        UserError: with the number and what fits: spacing, scale, or else edge.
    """
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    needed = float(np.prod(shape, dtype=float)) * channels * 4 * COPIES
    if needed > memory:
        shrink = (memory / needed) ** (1 / len(shape))
        fits = f"{max(shape) * shrink * 0.99:.0f}" if spacing is None else f"{spacing / shrink:.2g}"
        if scale is not None:
            fits = f"{int(10 * scale * shrink) / 10:g}"
        raise UserError(
            f"{option}: {what} {'x'.join(map(str, shape))} points and take {needed / 1e9:,.0f} GB "
            f"of memory, but this machine has {memory / 1e9:,.0f} GB; {fits} would fit"
        )


def check_masks(filled: Sequence[Sequence[bool]], regions: Sequence[str], where: str) -> None:
    """Refuse training masks that are all empty, and say which region is in none of them.

    Args:
        filled: [case][region], whether there is any of it.
        regions: their names.
        where: whose masks they are.

    Raises:
        UserError: there is nothing to learn.
    """
    there = np.any(filled, axis=0)
    if not there.any():
        raise UserError(f"all {len(filled)} training masks of {where} are empty: nothing to learn")
    missing = [region for region, any_ in zip(regions, there, strict=True) if not any_]
    say(f"no training mask of {where} has any {region}" for region in missing)


def _headers_agree(case: Case) -> Header:
    first, *others = case.files
    header = read_header(first, case.name)
    for path in others:
        refuse_other_grid(read_header(path, case.name), header, path, first, case.name)
    return header


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
