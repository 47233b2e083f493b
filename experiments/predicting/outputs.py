"""The files of a prediction, by the ends of their names, and its rows in the table of all cases."""

from __future__ import annotations

import gzip
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from experiments.data.cases import Regions, Sample, labels_of
from experiments.data.volumes import as_in_file
from experiments.results.overlays import image_overlay, overlay, shown_best

Files = dict[str, bytes]
Rows = list[dict[str, Any]]


def image_files(
    sample: Sample, found: Tensor, region: str, threshold: float, probabilities: bool
) -> tuple[Files, Rows]:
    """What is written for probabilities (1, H, W) of the region in an image."""
    mask = found[0].numpy() > threshold
    picture = image_overlay(sample.values.movedim(0, -1).numpy(), mask)
    files = {"_overlay.png": _png(picture), "_mask.png": _png(mask.astype(np.uint8) * 255)}
    if probabilities:
        files["_probability.png"] = _png((found[0].numpy() * 65535).round().astype(np.uint16))
    share = round(float(mask.mean()), 6)
    row = {"case": sample.name, "region": region, "pixels": int(mask.sum()), "share": share}
    return files, [row]


def volume_files(
    sample: Sample,
    found: Tensor,
    regions: Regions,
    threshold: float,
    probabilities: bool,
    modalities: Sequence[str],
    file: Path,
) -> tuple[Files, Rows]:
    """What is written for probabilities (R, D, H, W) of regions, on the grid of a NIfTI file."""
    labels = labels_of((found > threshold).to(torch.uint8), regions)
    wanted = regions.values() if len(regions) > 1 else [(1,)]
    # As they are in the mask, where a region that lies within others does not reach beyond them.
    masks = torch.stack([torch.isin(labels, torch.tensor(one)) for one in wanted])
    channel, voxel = shown_best(modalities), float(np.prod(sample.spacing)) / 1000
    title = f"{sample.name}, {modalities[channel]}"
    image, names = sample.values[channel].numpy(), tuple(regions)
    files = {
        "_overlay.png": overlay(image, None, masks.numpy(), names, sample.spacing, title),
        "_mask.nii.gz": _nifti(as_in_file(labels, sample), file),
    }
    if probabilities:
        each = [as_in_file(one, sample) for one in found.float()]
        values = np.stack(each, axis=-1) if len(each) > 1 else each[0]
        files["_probabilities.nii.gz"] = _nifti(values, file)
    counts = masks.flatten(1).sum(1).tolist()
    return files, [
        {"case": sample.name, "region": name, "voxels": n, "volume_ml": round(n * voxel, 4)}
        for name, n in zip(names, counts, strict=True)
    ]


def _png(pixels: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def _nifti(values: Any, file: Path) -> bytes:
    """The bytes of a NIfTI file as `file` is, with other values (*space) or (*space, R)."""
    original: Any = nib.load(file)
    header = original.header.copy()
    header.set_data_dtype(values.dtype)
    header.set_slope_inter(1, 0)
    header["cal_min"] = header["cal_max"] = 0
    header["descrip"] = b"segmentation"
    kind: Any = type(original)
    # Time 0: two files with the same content are the same file.
    return gzip.compress(kind(values, None, header).to_bytes(), compresslevel=6, mtime=0)
