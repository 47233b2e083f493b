"""Segmentations of volumes by a trained network, on the grids of the volumes."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn

from experiments.common.errors import UserError
from experiments.common.files import write_atomically
from experiments.data.cases import Case, Regions, Sample, labels_of
from experiments.data.checks import say
from experiments.data.layouts.brats import regions_for
from experiments.data.layouts.inputs import find_inputs
from experiments.data.transforms import prepare, restore
from experiments.data.volumes import as_in_file, read_header, read_volume
from experiments.running.checkpoints import load_network
from experiments.running.hardware import choose_device
from experiments.tumour.inference import LARGEST, choose_tile, segment
from experiments.tumour.overlays import overlay

__all__ = ["predict_cases", "predict_masks"]


def predict_cases(
    checkpoint: Path | str,
    inputs: Sequence[Path],
    out: Path | str,
    overwrite: bool = False,
    device: str = "auto",
    tile: int | None = None,
) -> list[Path]:
    """Writes `<case>_mask.nii.gz` and `<case>_overlay.png` for every case.

    The mask has the grid of the case's own files, with their affine, orientation and units, so that
    a viewer lays it over them. It holds the labels of BraTS (1 core, 2 oedema, 4 enhancing; 3
    instead of 4 for cases named as in 2023) or of the Decathlon, if the network was trained on
    that; 0 and 1 if it outlines the whole tumour alone.

    Args:
        checkpoint: a run folder or a checkpoint file.
        inputs: folders or files, see `inputs.find_inputs`.
        out: where to write; made if it is not there.
        overwrite: replace files of an earlier prediction.
        device: cpu, cuda, ... or auto.
        tile: edge in voxels of the cubes through which larger volumes are seen, a multiple of 16;
            None: as in the training.

    Returns:
        The masks written.

    Raises:
        UserError: there is nothing to do, a file would be overwritten or, after all others are
            done, some case could not be segmented; each is named on stderr as it comes.
    """
    out = Path(out)
    where = choose_device(device)
    network, options = load_network(checkpoint)
    if not options.get("modalities"):
        raise UserError(f"{checkpoint}: holds no network of the tumour study that names modalities")
    cases = find_inputs([Path(path) for path in inputs], options["modalities"])
    _check_targets(cases, out, overwrite)
    edge = choose_tile(tile, options["patch"])
    network.to(where)
    written: list[Path] = []
    failed: list[str] = []
    for case in track(cases, "predicting", transient=True, disable=not sys.stdout.isatty()):
        mask_file, overlay_file = _targets(case, out)
        try:
            say(read_header(path, case.name).note for path in case.files)
            volume = read_volume(case, [])
            masks = predict_masks(network, volume, options["spacing"], edge)
            regions = _regions(options, case.name)
            content = _nifti(labels_of(masks, regions), volume, case.files[0])
        except (UserError, MemoryError) as error:
            told = str(error) or f"{case.name} does not fit into memory"
            print(f"error: {told}", file=sys.stderr)
            failed.append(case.name)
            continue
        write_atomically(overlay_file, _overlay(volume, masks, tuple(regions)))
        write_atomically(mask_file, content)
        written.append(mask_file)
    if failed:
        raise UserError(
            f"{len(failed)} of {len(cases)} cases could not be segmented ({', '.join(failed)}); "
            f"the masks of the others are in {out}"
        )
    return written


def predict_masks(
    network: nn.Module, volume: Sample, spacing: float, tile: int = LARGEST
) -> Tensor:
    """Masks (R, D, H, W) of the regions on the grid of a volume as it came, 0 and 1.

    The volume is preprocessed as the training volumes were; the probabilities are brought back to
    its own voxels, linearly, before they are cut at one half.

    Args:
        network: from (B, M, D, H, W) to logits (B, R, D, H, W).
        volume: as read.
        spacing: of the voxels on which the network was trained, in millimetres.
        tile: as in `inference.segment`.

    Raises:
        UserError: a modality is the same everywhere in the brain.
    """
    prepared = prepare(volume, spacing=spacing)
    found = restore(prepared, segment(network, prepared.values, tile))
    return (found > 0.5).to(torch.uint8)


def _regions(options: dict[str, Any], name: str) -> Regions:
    """The regions of the network with the labels that a case of this name has for them."""
    trained = {region: tuple(labels) for region, labels in options["labels"].items()}
    if options["dataset"] in ("msd", "nnunet"):
        return trained
    return {region: regions_for(name)[region] for region in trained}


def _targets(case: Case, out: Path) -> tuple[Path, Path]:
    return out / f"{case.name}_mask.nii.gz", out / f"{case.name}_overlay.png"


def _check_targets(cases: Sequence[Case], out: Path, overwrite: bool) -> None:
    """Everything that can go wrong with the output is found before anything is written."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file: name a folder for the masks")
    for case in cases:
        for source in case.images.values():
            if out.resolve() == source.parent.resolve():
                raise UserError(f"{out} is the folder of {case.name}: name another for the masks")
        for target in _targets(case, out):
            if target.exists() and not overwrite:
                raise UserError(
                    f"{target} is there already: name another folder, or add --overwrite true"
                )


def _nifti(labels: Tensor, volume: Sample, file: Path) -> bytes:
    """The bytes of a NIfTI file as `file` is, with other values.

    Args:
        labels: (D, H, W), in our orientation.
        volume: read from the file.
        file: the first of the case.
    """
    original: Any = nib.load(file)
    header = original.header.copy()
    header.set_data_dtype(np.uint8)
    header["cal_min"] = header["cal_max"] = 0
    header["descrip"] = b"segmentation"
    kind: Any = type(original)
    values = as_in_file(labels, volume)
    # Time 0: two files with the same content are the same file.
    compressed: bytes = gzip.compress(kind(values, None, header).to_bytes(), mtime=0)
    return compressed


def _overlay(volume: Sample, masks: Tensor, regions: Sequence[str]) -> bytes:
    image = volume.values[0].numpy()
    return overlay(image, None, masks.numpy(), regions, volume.spacing, volume.name)
