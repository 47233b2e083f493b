"""The Medical Segmentation Decathlon (Antonelli et al., Nature Communications 2022), any task.

`imagesTr/<case>.nii.gz`, a 4D file where there are several modalities, `labelsTr/<case>.nii.gz`,
and `dataset.json`, which names modalities and labels. Every label is a region, but for the brain
tumours of Task01, whose regions are those of BraTS.
"""

from __future__ import annotations

from pathlib import Path

from experiments.common.errors import UserError
from experiments.data.cases import Case, Source
from experiments.data.layouts.brats import modality_name, nested
from experiments.data.layouts.files import (
    channel_order,
    files_by_name,
    read_table,
    refuse_alone,
    regions_of,
)
from experiments.data.volumes import SUFFIXES

BRAIN_TUMOURS = {"edema": 1, "non-enhancing tumor": 2, "enhancing tumour": 3}
"""The labels of Task01."""


def modalities(root: Path) -> tuple[str, ...]:
    """The modalities of a task, in the order of the volumes of its 4D files.

    Raises:
        UserError: dataset.json is missing or does not say.
    """
    table = read_table(root, "msd", ["modality"])
    named = channel_order(root / "dataset.json", table["modality"])
    return tuple(modality_name(name) for name in named)


def find(root: Path, asked: tuple[str, ...] | None) -> Source:
    """The cases of a task.

    Raises:
        UserError: the folder is laid out in another way, or there is no such modality.
    """
    images = files_by_name(root / "imagesTr", SUFFIXES, "msd")
    if not images:
        raise UserError(f"{root / 'imagesTr'} holds no volumes: looked for files ending in .nii.gz")
    labels = files_by_name(root / "labelsTr", SUFFIXES, "msd")
    refuse_alone(labels, images, root / "imagesTr", "image")
    order = modalities(root)
    table = read_table(root, "msd", ["labels"])
    try:
        named = {name: int(label) for label, name in table["labels"].items()}
    except ValueError:
        raise UserError(
            f'{root / "dataset.json"} should name labels by numbers, such as "1": "liver"'
        ) from None
    regions = regions_of(root / "dataset.json", named)
    tumours = all(regions.get(name) == (label,) for name, label in BRAIN_TUMOURS.items())
    if tumours:
        regions = nested(*BRAIN_TUMOURS.values())
    wanted = asked or order
    for modality in wanted:
        if modality not in order:
            raise UserError(f"{root} has no modality {modality}: choose from {', '.join(order)}")
    volumes = {modality: order.index(modality) for modality in wanted}
    cases = [
        Case(name, dict.fromkeys(wanted, image), labels.get(name), "", regions, volumes)
        for name, image in images.items()
    ]
    names = tuple(regions)
    return Source(cases, wanted, names, names[:1] if tumours else names, 3)
