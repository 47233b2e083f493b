"""The raw format of nnU-Net (Isensee et al., Nature Methods 2021), version 2, 2D and 3D.

`imagesTr/<case>_0000.nii.gz`, `..._0001.nii.gz` for further channels, or `.png` and other images;
`labelsTr/<case>.nii.gz`; and `dataset.json` with `channel_names` and `labels`. A region may be
made up of several labels; where it lies within others, `regions_class_order` follows from that.
"""

import re
from pathlib import Path

from experiments.common.errors import UserError
from experiments.common.files import read_json
from experiments.data import images, volumes
from experiments.data.cases import Case, Source, check_channels
from experiments.data.layouts import files


def find(root: Path, asked: tuple[str, ...] | None) -> Source:
    """The training cases of a data set."""
    path, folder = root / "dataset.json", root / "imagesTr"
    order = files.read_channels(path, "nnunet", "channel_names")
    regions = files.regions_of(path, files.read_table(path, "nnunet", "labels"))
    ending = str(read_json(path).get("file_ending", ".nii.gz"))
    known = (*volumes.SUFFIXES, *images.SUFFIXES)
    if ending not in known:
        raise UserError(f"{path} says file_ending {ending}: supported are {', '.join(known)}")
    stored, labels = files.paired_files(root, ("imagesTr", "labelsTr"), [ending], "nnunet")
    found: dict[str, dict[int, Path]] = {}
    for name, file in stored.items():
        match = re.fullmatch(r"(.+)_(\d{4})", name)
        if match is None:
            raise UserError(f"{file} should be called <case>_<channel>{ending}, such as a_0000")
        found.setdefault(match[1], {})[int(match[2])] = file
    files.refuse_alone(labels, found, folder, "image")
    wanted = asked or order
    check_channels(wanted, order, str(root))
    flat = ending in images.SUFFIXES
    if flat and (len(order) not in (1, 3) or wanted != order):
        raise UserError(f"{path} names {len(order)} channels: images need one or three, all used")
    cases = []
    for name, channels in found.items():
        # A file of a colour image holds all three channels.
        if flat and list(channels) == [0]:
            channels = dict.fromkeys(range(len(order)), channels[0])
        for number, channel in enumerate(order):
            if number not in channels:
                looked = f"{folder / name}_{number:04d}{ending}"
                raise UserError(f"{name} has no channel {channel}: looked for {looked}")
        chosen = {channel: channels[order.index(channel)] for channel in wanted}
        cases.append(Case(name, chosen, labels.get(name), "", regions))
    return Source(cases, wanted, tuple(regions), tuple(regions), 2 if flat else 3)
