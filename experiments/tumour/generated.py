"""Brain tumours made up on the spot: blobs of random size in textured tissue, with their labels.

The embedded default data set: nothing to download, the same for everybody up to rounding. The radii
of the tumours span a factor of three and a half, and a large tumour is a small one magnified:
texture, outline and parts. What a network learns about one size holds for the others. A tumour is
told from its surroundings by its outline, its texture and the four contrasts together. Streaks,
smooth bright patches and cysts are there to be confused with it, of every size as well, so that
none of them is told by its size.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from experiments.common.errors import UserError
from experiments.common.files import new_folder
from experiments.tumour.blobs import (
    blob,
    covered,
    ellipsoid_distance,
    outline_depth,
    own_axes,
    random_place,
)
from experiments.tumour.grids import Grid, as_in_file, oriented
from experiments.tumour.labels import region_masks
from experiments.tumour.volumes import Volume
from experiments.tumour.waves import Axes, Field, plane_waves

# nibabel tells no types of this class.
_nifti1: Any = nib.Nifti1Image

MODALITIES = ("flair", "t1", "t1ce", "t2")

CONTRASTS = {
    "grey matter": (0.50, 0.40, 0.42, 0.50),
    "white matter": (0.42, 0.55, 0.57, 0.40),
    "fluid": (0.15, 0.18, 0.20, 0.90),
    "oedema": (0.70, 0.40, 0.42, 0.70),
    "core": (0.57, 0.30, 0.33, 0.74),
    "enhancing": (0.66, 0.44, 0.88, 0.62),
    "streak": (0.70, 0.42, 0.44, 0.68),
}
"""The brightness of every tissue in every modality, about as in a brain."""

OEDEMA, CORE, ENHANCING = 2, 1, 4

LEAST_SIZE = 20
"""Of a smaller volume the brain would be smaller than what the networks take."""


@dataclass(frozen=True)
class Tumour:
    """One tumour; every field has the shape of the volume.

    Attributes:
        covers: how much of a voxel is whole tumour, core and enhancing, 0 to 1.
        texture: of mean 0 and variance 1, as fine as the tumour is small.
        strength: of its contrast to the tissue around it.
    """

    covers: tuple[Field, Field, Field]
    texture: Field
    strength: float


def generate(
    index: int, *, size: int, seed: int = 0
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """Make one examination; the same arguments always give the same one.

    Args:
        index: which.
        size: voxels along each axis.
        seed: of the whole set.

    Returns:
        The image, of shape (4, size, size, size) in the order of `MODALITIES`, exactly 0 outside
        the brain, and the labels of BraTS 2021, of shape (size, size, size).
    """
    rng = np.random.default_rng([seed, index])
    axis = (np.arange(size) + 0.5) * (2.0 / size) - 1.0
    axes = (axis, axis, axis)
    varied = 0.03 * rng.standard_normal(3).clip(-1.5, 1.5)
    half_edges = np.array([0.88, 0.92, 0.88]) * np.exp(varied)
    brain = ellipsoid_distance(axes, rng.uniform(-0.03, 0.03, 3), half_edges) < 1.0
    tissue = _tissue(rng, axes, half_edges)
    labels = np.zeros(brain.shape, np.uint8)
    for _ in range(1 + (rng.uniform() < 0.15)):
        tumour = _tumour(rng, axes, half_edges)
        tissue = _with_tumour(rng, tissue, tumour)
        for label, cover in zip((OEDEMA, CORE, ENHANCING), tumour.covers, strict=True):
            labels[cover >= 0.5] = label
    labels[~brain] = 0
    measured = _measured(rng, axes, tissue)
    return np.where(brain, measured, 0).astype(np.int16), labels


def generated_name(index: int) -> str:
    """The name of an examination of the generated set."""
    return f"generated-{index:04d}"


def generated_volume(
    index: int,
    *,
    size: int,
    spacing: float,
    seed: int = 0,
    modalities: tuple[str, ...] = MODALITIES,
    regions: tuple[str, ...] = ("whole",),
) -> Volume:
    """One examination as `read_case` would read it from what `write_generated` writes.

    Args:
        index: which.
        size: voxels along each axis.
        spacing: of the voxels in millimetres.
        seed: of the whole set.
        modalities: some of `MODALITIES`.
        regions: one of the values of `labels.REGIONS`.
    """
    image, labels = generate(index, size=size, seed=seed)
    name, file = generated_name(index), _file_grid(size, spacing)
    _, affine = oriented(np.empty(file.shape, np.uint8), file.affine)
    chosen = image[[MODALITIES.index(modality) for modality in modalities]]
    mask = region_masks(labels, "brats", regions, name)
    return Volume(name, chosen.astype(np.float32), mask, affine, file)


def write_generated(
    folder: Path, count: int, size: int, spacing: float = 2.0, seed: int = 0
) -> None:
    """Write a generated set in the layout of BraTS 2021, as NIfTI.

    The folder appears when the set is complete; reading it back as `brats` gives exactly the
    volumes of `generated_volume`.

    Args:
        folder: to make.
        count: number of examinations.
        size: voxels along each axis.
        spacing: of the voxels in millimetres.
        seed: of the set.

    Raises:
        UserError: when the folder holds anything already or cannot be written, or an option is out
            of range.
    """
    refuse_options(count=count, size=size, spacing=spacing)
    file = _file_grid(size, spacing)
    with new_folder(folder) as temporary:
        for index in range(count):
            name = generated_name(index)
            (temporary / name).mkdir()
            image, labels = generate(index, size=size, seed=seed)
            for kind, values in zip((*MODALITIES, "seg"), (*image, labels), strict=True):
                stored = _nifti1(as_in_file(values, file), file.affine)
                stored.header.set_xyzt_units("mm")
                nib.save(stored, temporary / name / f"{name}_{kind}.nii.gz")


def refuse_options(count: int, size: int, spacing: float) -> None:
    """Refuse a set that cannot be made.

    Raises:
        UserError: when an option is out of range.
    """
    if count < 1:
        raise UserError(f"count is {count}: it should be at least 1")
    if size < LEAST_SIZE:
        raise UserError(f"size is {size}: it should be at least {LEAST_SIZE} voxels")
    if not 0 < spacing < np.inf:
        raise UserError(f"spacing is {spacing}: it should be a positive number of millimetres")


def _file_grid(size: int, spacing: float) -> Grid:
    """As the files of BraTS: first to the left, then to posterior, then to superior."""
    affine = np.diag([-spacing, -spacing, spacing, 1.0])
    affine[:3, 3] = -affine.diagonal()[:3] * (size - 1) / 2
    return Grid((size, size, size), affine)


def _tissue(rng: np.random.Generator, axes: Axes, half_edges: Field) -> Field:
    """The brightness of a brain without tumour, of shape (4, size, size, size)."""
    white = _soft(2.0 * plane_waves(rng, axes, wavelength=0.45))
    tissue = _blend(_colour("grey matter"), "white matter", white)
    for side in (-1.0, 1.0):
        centre = rng.normal([0.1, 0.0, 0.13 * side], 0.03)
        ventricle = ellipsoid_distance(
            axes, centre, rng.uniform([0.1, 0.2, 0.05], [0.16, 0.32, 0.09])
        )
        tissue = _blend(tissue, "fluid", _soft(12.0 * (1.0 - ventricle)))
    edge = _soft(25.0 * (ellipsoid_distance(axes, np.zeros(3), half_edges) - 0.9))
    furrow = np.exp(-((plane_waves(rng, axes, wavelength=0.5) / 0.3) ** 2))
    tissue = _blend(tissue, "fluid", edge * furrow)
    for _ in range(rng.integers(0, 3)):
        cyst, _ = blob(rng, axes, half_edges)
        tissue = _blend(tissue, "fluid", _soft(10.0 * (1.0 - cyst)))
    for _ in range(rng.integers(0, 3)):
        tissue = _blend(tissue, "streak", _streaks(rng, axes, half_edges))
    for _ in range(rng.integers(0, 4)):
        patch, _ = blob(rng, axes, half_edges)
        tissue = _blend(tissue, "oedema", rng.uniform(0.4, 0.9) * np.exp(-1.5 * patch**2))
    return tissue


def _streaks(rng: np.random.Generator, axes: Axes, half_edges: Field) -> Field:
    """Bright sheets, thin and fading out to all sides, 0 to 1."""
    extent, radius = blob(rng, axes, half_edges)
    sheets = np.exp(-((plane_waves(rng, axes, wavelength=2.5 * radius) / 0.3) ** 2))
    streaks: Field = sheets * np.exp(-(extent**2))
    return streaks


def _tumour(rng: np.random.Generator, axes: Axes, half_edges: Field) -> Tumour:
    centre, radius = random_place(rng, half_edges)
    own = own_axes(axes, centre, radius)
    depth = outline_depth(rng, own)
    pieces = depth + 0.12 * plane_waves(rng, own, wavelength=1.0)
    core, rim = rng.uniform(0.5, 0.75), rng.uniform(0.55, 0.8)
    whole_cover = covered(depth, 1.0, own)
    core_cover = np.minimum(whole_cover, covered(pieces, core, own))
    enhances = rng.uniform() < 0.8
    necrosis = covered(pieces, core * rim, own) if enhances else core_cover
    enhancing = np.clip(core_cover - necrosis, 0.0, 1.0)
    texture = plane_waves(rng, own, wavelength=0.7)
    return Tumour((whole_cover, core_cover, enhancing), texture, rng.uniform(0.7, 1.1))


def _with_tumour(rng: np.random.Generator, tissue: Field, tumour: Tumour) -> Field:
    healthy = tissue
    grain = 1.0 + rng.uniform(0.05, 0.1) * tumour.texture
    for kind, cover in zip(("oedema", "core", "enhancing"), tumour.covers, strict=True):
        tissue = _blend(tissue, kind, cover)
    whole = tumour.covers[0]
    changed: Field = healthy + tumour.strength * (tissue - healthy)
    textured: Field = changed * (whole * grain + (1.0 - whole))
    return textured


def _measured(rng: np.random.Generator, axes: Axes, tissue: Field) -> Field:
    """What a scanner makes of brightness: uneven sensitivity, grain, noise and its own units."""
    channels = []
    for channel in tissue:
        uneven = np.exp(0.12 * plane_waves(rng, axes, wavelength=2.5))
        grain = 1.0 + 0.04 * plane_waves(rng, axes, wavelength=0.2)
        noise = rng.normal(0.0, 0.025, channel.shape).astype(np.float32)
        units = np.exp(rng.uniform(np.log(300.0), np.log(2000.0)))
        channels.append(np.clip(units * (channel * uneven * grain + noise), 1.0, 30000.0))
    return np.stack(channels)


def _colour(tissue: str) -> Field:
    return np.array(CONTRASTS[tissue], np.float32)[:, None, None, None]


def _blend(brightness: Field, tissue: str, share: Field) -> Field:
    blended: Field = brightness + (_colour(tissue) - brightness) * share.astype(np.float32)
    return blended


def _soft(values: Field) -> Field:
    """From 0 far below 0 to 1 far above."""
    share: Field = 1.0 / (1.0 + np.exp(-np.clip(values, -30.0, 30.0)))
    return share
