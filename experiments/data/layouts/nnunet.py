"""The raw format of nnU-Net (Isensee et al., Nature Methods 2021), version 2, 2D and 3D.

`imagesTr/<case>_0000.nii.gz`, `..._0001.nii.gz` for further channels, or `.png` and other images;
`labelsTr/<case>.nii.gz`; and `dataset.json` with `channel_names` and `labels`. A region may be
made up of several labels; where it lies within others, `regions_class_order` follows from that.
"""

from __future__ import annotations

import re
from pathlib import Path

from experiments.common.errors import UserError
from experiments.data import images, volumes
from experiments.data.cases import Case, Source
from experiments.data.layouts.brats import modality_name
from experiments.data.layouts.files import (
    channel_order,
    files_by_name,
    read_table,
    refuse_alone,
    regions_of,
)


def find(root: Path, asked: tuple[str, ...] | None) -> Source:
    """The training cases of a data set.

    Raises:
        UserError: the folder is laid out in another way, a case lacks a channel or a label, or
            there is no such channel.
    """
    path = root / "dataset.json"
    table = read_table(root, "nnunet", ["channel_names", "labels"])
    named = channel_order(path, table["channel_names"])
    order = tuple(modality_name(name) for name in named)
    regions = regions_of(path, table["labels"])
    ending = str(table.get("file_ending", ".nii.gz"))
    if ending not in (*volumes.SUFFIXES, *images.SUFFIXES):
        known = ", ".join((*volumes.SUFFIXES, *images.SUFFIXES))
        raise UserError(f"{path} says file_ending {ending}: supported are {known}")
    dim = 3 if ending in volumes.SUFFIXES else 2
    files = files_by_name(root / "imagesTr", [ending], "nnunet")
    labels = files_by_name(root / "labelsTr", [ending], "nnunet")
    found: dict[str, dict[int, Path]] = {}
    for name, file in files.items():
        match = re.fullmatch(r"(.+)_(\d{4})", name)
        if match is None:
            raise UserError(f"{file} should be called <case>_<channel>{ending}, such as a_0000")
        found.setdefault(match[1], {})[int(match[2])] = file
    if not found:
        raise UserError(f"{root / 'imagesTr'} holds no files ending in {ending}")
    refuse_alone(labels, found, root / "imagesTr", "image")
    wanted = asked or order
    for channel in wanted:
        if channel not in order:
            raise UserError(f"{root} has no channel {channel}: choose from {', '.join(order)}")
    if dim == 2 and (len(order) not in (1, 3) or wanted != order):
        raise UserError(f"{path} names {len(order)} channels: images need one or three, all used")
    cases = []
    for name, channels in found.items():
        # A file of a colour image holds all three channels.
        if dim == 2 and len(order) == 3 and list(channels) == [0]:
            channels = dict.fromkeys(range(3), channels[0])
        missing = [number for number in range(len(order)) if number not in channels]
        if missing:
            raise UserError(
                f"{name} has no channel {order[missing[0]]}: looked for "
                f"{root / 'imagesTr' / name}_{missing[0]:04d}{ending}"
            )
        images_of = {channel: channels[order.index(channel)] for channel in wanted}
        cases.append(Case(name, images_of, labels.get(name), "", regions))
    return Source(cases, wanted, tuple(regions), tuple(regions), dim)
