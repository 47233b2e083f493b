"""The Medical Segmentation Decathlon (Antonelli et al., Nature Communications 2022), any task.

`imagesTr/<case>.nii.gz`, a 4D file where there are several modalities, `labelsTr/<case>.nii.gz`,
and `dataset.json`, which names modalities and labels. Every label is a region, but for the brain
tumours of Task01, whose regions are those of BraTS.
"""

from pathlib import Path

from experiments.common.errors import UserError
from experiments.data.cases import Case, Source, check_channels
from experiments.data.layouts import files
from experiments.data.layouts.brats import nested
from experiments.data.volumes import SUFFIXES

BRAIN_TUMOURS = {"edema": 1, "non-enhancing tumor": 2, "enhancing tumour": 3}
"""The labels of Task01."""


def modalities(root: Path) -> tuple[str, ...]:
    """The modalities of a task, in the order of the volumes of its 4D files."""
    return files.read_channels(root / "dataset.json", "msd", "modality")


def find(root: Path, asked: tuple[str, ...] | None) -> Source:
    """The cases of a task."""
    images, labels = files.paired_files(root, ("imagesTr", "labelsTr"), SUFFIXES, "msd")
    files.refuse_alone(labels, images, root / "imagesTr", "image")
    order, path = modalities(root), root / "dataset.json"
    try:
        table = files.read_table(path, "msd", "labels")
        named = {name: int(label) for label, name in table.items()}
    except ValueError:
        raise UserError(f'{path} should name labels by numbers, such as "1": "liver"') from None
    regions = files.regions_of(path, named)
    tumours = all(regions.get(name) == (label,) for name, label in BRAIN_TUMOURS.items())
    if tumours:
        regions = nested(*BRAIN_TUMOURS.values())
    wanted = asked or order
    check_channels(wanted, order, str(root))
    volumes = {modality: order.index(modality) for modality in wanted}
    cases = [
        Case(name, dict.fromkeys(wanted, image), labels.get(name), "", regions, volumes)
        for name, image in images.items()
    ]
    names = tuple(regions)
    return Source(cases, wanted, names, names[:1] if tumours else names, 3)
