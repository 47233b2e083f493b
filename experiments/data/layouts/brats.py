"""BraTS (Baid et al., arXiv:2107.02314): a folder per case, a file per modality in it.

The files are named after the folder,
`BraTS20_Training_001/BraTS20_Training_001_{flair,t1,t1ce,t2,seg}.nii[.gz]` in 2020,
`BraTS2021_00000/BraTS2021_00000_{flair,t1,t1ce,t2,seg}.nii.gz` in 2021,
`BraTS-GLI-00000-000/BraTS-GLI-00000-000-{t2f,t1n,t1c,t2w,seg}.nii.gz` since 2023.
Other data may come in the same layout, with any names and any modalities.

The regions are nested (Menze et al., IEEE Transactions on Medical Imaging 2015): the whole tumour
with its oedema, its core without the oedema, and the part of the core that takes up contrast agent.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments.common.errors import UserError
from experiments.data.cases import Case, Regions, Source, natural_key
from experiments.data.layouts.files import modality_name, stem
from experiments.data.volumes import SUFFIXES

SEGMENTATION = "seg"


def nested(oedema: int, core: int, enhancing: int) -> Regions:
    """The regions of BraTS, from the labels of their parts."""
    whole = (core, oedema, enhancing)
    return {"whole": whole, "core": (core, enhancing), "enhancing": (enhancing,)}


def regions_for(case: str) -> Regions:
    """What the labels of a case of this name mean: since 2023, enhancing is 3 instead of 4."""
    return nested(2, 1, 3 if re.match("BraTS-", case, re.IGNORECASE) else 4)


def modality_names(modalities: Sequence[str]) -> tuple[str, ...]:
    """Our names of modalities, in the same order; at least one, and none twice."""
    names = tuple(map(modality_name, modalities))
    if not names or len(set(names)) < len(names):
        raise UserError(f"--modalities {' '.join(modalities)}: name at least one, each once")
    return names


def find(root: Path, asked: tuple[str, ...] | None) -> Source:
    """The cases of a folder."""
    folders = (path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    ordered = sorted(folders, key=lambda path: natural_key(path.name))
    files = {folder: found for folder in ordered if (found := _files(folder))}
    if not files:
        raise UserError(
            f"{root} is not laid out as brats: looked for <case>/<case>_flair.nii.gz and its like "
            "in the folders in it, found none"
        )
    kinds = {kind for found in files.values() for kind in found} - {SEGMENTATION}
    if not kinds:
        raise UserError(f"{next(iter(files))} holds a segmentation but no image")
    wanted = asked or tuple(sorted(kinds))
    cases = [_case(folder, found, wanted) for folder, found in files.items()]
    regions = tuple(cases[0].regions)
    return Source(cases, wanted, regions, regions[:1], 3)


def _files(folder: Path) -> dict[str, Path]:
    """The files of a case by our name of what they hold; empty when it has none named after it."""
    files: dict[str, Path] = {}
    strangers: list[Path] = []
    for file in sorted(folder.iterdir()):
        name = stem(file, SUFFIXES)
        if name is None:
            continue
        if not re.match(re.escape(folder.name) + "[_-].", name):
            strangers.append(file)
            continue
        kind = modality_name(name[len(folder.name) + 1 :])
        if kind in files:
            raise UserError(f"{file} and {files[kind].name} are both the {kind} of this case")
        files[kind] = file
    outlines = [file for file in strangers if "seg" in file.name.lower()]
    # Case 355 of BraTS 2020 was published with a segmentation under another name.
    if files and SEGMENTATION not in files and len(outlines) == 1:
        files[SEGMENTATION] = outlines[0]
        strangers.remove(outlines[0])
    if strangers:
        named = f"{folder.name}_<modality>.nii.gz"
        raise UserError(f"{strangers[0]} should be named after its folder, {named}: another case?")
    return files


def _case(folder: Path, files: Mapping[str, Path], wanted: Sequence[str]) -> Case:
    for modality in wanted:
        if modality not in files:
            held = ", ".join(sorted(files.keys() - {SEGMENTATION})) or "none"
            raise UserError(
                f"{folder.name} has no {modality}: looked in {folder} and found the modalities "
                f"{held} (name the modalities that all cases have to leave out others)"
            )
    name, images = folder.name, {modality: files[modality] for modality in wanted}
    binary = not re.match("BraTS", name, re.IGNORECASE)
    return Case(name, images, files.get(SEGMENTATION), "", regions_for(name), binary=binary)
