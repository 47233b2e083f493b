"""Masks for images and volumes by a trained network, on the grids of their files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nibabel as nib
import pandas as pd
from rich.progress import track
from torch import Tensor, nn

from experiments.common import inference
from experiments.common.errors import UserError
from experiments.common.files import write_atomically
from experiments.data.cases import Case, Regions, Sample
from experiments.data.checks import check_memory, say
from experiments.data.images import read_pair
from experiments.data.layouts.brats import regions_for
from experiments.data.transforms import prepare, restore, shape_at
from experiments.data.volumes import read_header, read_volume
from experiments.predicting.dicom import read_series
from experiments.predicting.inputs import Found, find_images, find_volumes
from experiments.predicting.outputs import Files, Rows, image_files, volume_files
from experiments.running.checkpoints import load_network
from experiments.running.hardware import choose_device

RESEARCH = "research software, not for clinical use"
TABLE, ABOUT = "predictions.csv", "predictions.txt"


def predict_images(
    checkpoint: Path,
    images: Sequence[Path],
    out: Path,
    overwrite: bool = False,
    device: str = "auto",
    threshold: float = 0.5,
    probabilities: bool = False,
) -> list[Path]:
    """Write masks of images, upright, at their own sizes: research software, not for clinical use.

    Args:
        checkpoint: a run folder or a checkpoint file.
        images: images, or folders of them.
        out: where to write `<name>_mask.png` (0 and 255), `<name>_overlay.png` and predictions.csv.
        overwrite: replace files of an earlier prediction.
        device: cpu, cuda, ... or auto.
        threshold: probability above which a pixel is in the mask.
        probabilities: write `<name>_probability.png` too, 16 bits, 65535 for 1.
    """
    network, options = _load(checkpoint, device, threshold)
    region = (options.get("regions") or ["polyp"])[0]

    def predict(case: Case) -> tuple[Files, Rows]:
        sample = read_pair(case, [])
        found = predict_sample(network, sample, size=int(options["size"]))
        return image_files(sample, found, region, threshold, probabilities)

    ends = ["_overlay.png", "_mask.png", *["_probability.png"] * probabilities]
    about = f"{checkpoint}, threshold {threshold:g}"
    return _predict_all(find_images(images), predict, images, out, ends, overwrite, about)


def predict_volumes(
    checkpoint: Path,
    inputs: Sequence[Path],
    out: Path,
    overwrite: bool = False,
    device: str = "auto",
    tile: int | None = None,
    threshold: float = 0.5,
    probabilities: bool = False,
) -> list[Path]:
    """Write masks of volumes, on their own grids: research software, not for clinical use.

    Args:
        checkpoint: a run folder or a checkpoint file.
        inputs: NIfTI files or folders with a DICOM series, of one case by modality; or folders of
            these, or of cases.
        out: where to write `<case>_mask.nii.gz`, with the labels of the data that the network was
            trained on (0 and 1 for one region), `<case>_overlay.png` and predictions.csv.
        overwrite: replace files of an earlier prediction.
        device: cpu, cuda, ... or auto.
        tile: edge in voxels of the cubes through which larger volumes are seen, a multiple of 16;
            null: as in the training.
        threshold: probability above which a voxel is in the mask.
        probabilities: write `<case>_probabilities.nii.gz` too, float32, a volume for each region.
    """
    network, options = _load(checkpoint, device, threshold)
    modalities = options.get("modalities")
    if not modalities:
        raise UserError(f"{checkpoint}: holds no network of the tumour study that names modalities")
    edge, spacing = inference.choose_tile(tile, options["patch"]), float(options["spacing"])

    def predict(case: Case) -> tuple[Files, Rows]:
        regions = _regions(options, case.name)
        with _as_nifti(case) as files:
            _check_volume(files, spacing, len(regions))
            sample = read_volume(files, [])
            found = predict_sample(network, sample, spacing=spacing, tile=edge)
            how = threshold, probabilities, modalities, files.files[0]
            return volume_files(sample, found, regions, *how)

    ends = ["_overlay.png", "_mask.nii.gz", *["_probabilities.nii.gz"] * probabilities]
    about = f"{checkpoint}, threshold {threshold:g}"
    cases = find_volumes(inputs, modalities)
    return _predict_all(cases, predict, inputs, out, ends, overwrite, about)


def predict_sample(
    network: nn.Module,
    sample: Sample,
    size: int | None = None,
    spacing: float | None = None,
    tile: int = inference.LARGEST,
) -> Tensor:
    """Probabilities (R, *space) on the grid of a sample as it came, brought back linearly.

    The network was trained on images of `size` pixels, or on voxels of `spacing` millimetres, and
    sees larger volumes through cubes with edges of `tile` voxels.
    """
    prepared = prepare(sample, size, spacing)
    if prepared.image.ndim == 4:
        return restore(prepared, inference.segment(network, prepared.values, tile))
    image = prepared.values[None].to(next(network.parameters(), prepared.values).device)
    return restore(prepared, inference.probabilities(network, image.float() / 255)[0].cpu())


def _load(checkpoint: Path, device: str, threshold: float) -> tuple[nn.Module, dict[str, Any]]:
    if not 0 < threshold < 1:
        raise UserError(f"--threshold {threshold}: must lie between 0 and 1")
    where = choose_device(device)
    network, options = load_network(checkpoint)
    return network.to(where), options


def _predict_all(
    cases: Found,
    predict: Callable[[Case], tuple[Files, Rows]],
    inputs: Sequence[Path],
    out: Path,
    ends: Sequence[str],
    overwrite: bool,
    about: str,
) -> list[Path]:
    """The masks written; what fails is named, in the table too, and the others are done."""
    _check_targets([f"{name}{end}" for name in cases for end in ends], inputs, out, overwrite)
    print(f"note: {RESEARCH}", file=sys.stderr)
    rows: Rows = []
    failed: list[str] = []
    hidden = not sys.stdout.isatty()
    try:
        for name, make in track(cases.items(), "predicting", transient=True, disable=hidden):
            try:
                files, measured = predict(make())
                for end, content in files.items():
                    write_atomically(out / f"{name}{end}", content)
                rows += measured
            # Whatever is wrong with one of them, the others are wanted.
            except Exception as error:
                failed.append(name)
                rows.append({"case": name, "error": _told(error, name)})
                print(f"error: {rows[-1]['error']}", file=sys.stderr)
    finally:
        table = pd.DataFrame(rows).convert_dtypes().to_csv(index=False)
        write_atomically(out / TABLE, table)
        write_atomically(out / ABOUT, f"{RESEARCH.capitalize()}.\nPredicted by {about}.\n")
    if failed:
        raise UserError(
            f"{len(failed)} of {len(cases)} cases could not be segmented ({', '.join(failed)}); "
            f"the masks of the others are in {out}"
        )
    return [out / f"{name}{end}" for name in cases for end in ends if "_mask." in end]


def _check_targets(
    names: Sequence[str], inputs: Sequence[Path], out: Path, overwrite: bool
) -> None:
    """Everything that can go wrong with the output is found before anything is written."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file: name a folder for the masks")
    if out.resolve() in {(one.parent if one.is_file() else one).resolve() for one in inputs}:
        raise UserError(f"{out} is the folder of the inputs: name another one for the masks")
    there = next((name for name in [TABLE, ABOUT, *names] if (out / name).exists()), None)
    if there and not overwrite:
        raise UserError(
            f"{out / there} is there already: name another folder, or add --overwrite true"
        )


def _told(error: Exception, name: str) -> str:
    if isinstance(error, UserError):
        return " ".join(str(error).split())
    if isinstance(error, MemoryError) or "out of memory" in str(error):
        return f"{name}: does not fit into memory"
    return f"{name}: {type(error).__name__}: {' '.join(str(error).split())}"


def _regions(options: dict[str, Any], case: str) -> Regions:
    """The regions of the network with the labels that a case of this name has for them."""
    brats = regions_for(case)
    if "labels" in options:
        trained = {name: tuple(labels) for name, labels in options["labels"].items()}
    else:
        # Checkpoints from before labels were recorded are of brain tumours, whole or all regions.
        asked = options.get("regions") or "whole"
        trained = {
            name: brats[name] for name in brats if asked in ("all", ["all"]) or name in asked
        }
    if options["dataset"] in ("msd", "nnunet") or not set(trained) <= set(brats):
        return trained
    return {name: brats[name] for name in trained}


@contextmanager
def _as_nifti(case: Case) -> Iterator[Case]:
    """The case with NIfTI files, for the time being, in the place of DICOM series."""
    with TemporaryDirectory() as folder:
        images = dict(case.images)
        for channel, path in case.images.items():
            if path.is_dir():
                # Below the temporary folder the name is that of the series, for the messages.
                images[channel] = Path(f"{folder}{path.resolve()}.nii")
                images[channel].parent.mkdir(parents=True, exist_ok=True)
                nib.save(read_series(path), images[channel])
        try:
            yield replace(case, images=images)
        except UserError as error:
            raise UserError(str(error).replace(folder, "")) from error


def _check_volume(case: Case, spacing: float, regions: int) -> None:
    """Refuse what is no volume or does not fit into memory, from the headers alone."""
    headers = [read_header(path, case.name) for path in case.files]
    say(header.note for header in headers)
    shape, channels = headers[0].shape[:3], len(case.images) + regions
    if min(shape) == 1:
        size = "x".join(map(str, shape))
        raise UserError(f"{case.files[0]} of {case.name} is {size}: a slice, not a volume")
    check_memory("the file", {case.name: shape}, 4 * max(channels, *headers[0].shape[3:], 1))
    finer = {case.name: shape_at(spacing, shape, headers[0].spacing)}
    check_memory(f"voxels of {spacing:g} mm", finer, 4 * channels)
