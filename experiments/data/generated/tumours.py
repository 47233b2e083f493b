"""Brain tumours made up on the spot: blobs of random size in textured tissue, with their labels.

The embedded default data set. The radii of the tumours span a factor of three and a half, and a
large tumour is a small one magnified: texture, outline and parts. A tumour is told by its outline,
its texture and the four contrasts together. Streaks, smooth bright patches and cysts of every size
are there to be confused with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import nibabel as nib
import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from numpy.typing import NDArray

from experiments.common.errors import UserError
from experiments.common.files import new_folder
from experiments.data.cases import Case, Sample, Source, check_channels, region_masks
from experiments.data.generated.series import check_series, generated_name, series
from experiments.data.generated.waves import Field, plane_waves
from experiments.data.layouts.brats import modality_names, nested

Axes: TypeAlias = tuple[Field, ...]
"""The coordinates of the voxels along each axis, in units of half the volume."""

MODALITIES = ("flair", "t1", "t1ce", "t2")

BRIGHTNESS = {
    tissue: np.array(values, np.float32)[:, None, None, None]
    for tissue, values in {
        "grey matter": (0.50, 0.40, 0.42, 0.50),
        "white matter": (0.42, 0.55, 0.57, 0.40),
        "fluid": (0.15, 0.18, 0.20, 0.90),
        "oedema": (0.70, 0.40, 0.42, 0.70),
        "core": (0.57, 0.30, 0.33, 0.74),
        "enhancing": (0.66, 0.44, 0.88, 0.62),
        "streak": (0.70, 0.42, 0.44, 0.68),
    }.items()
}
"""The brightness (4, 1, 1, 1) of every tissue in every modality, about as in a brain."""

OEDEMA, CORE, ENHANCING = 2, 1, 4
REGIONS = nested(OEDEMA, CORE, ENHANCING)

LEAST_SIZE = 20  # of a smaller volume the brain would be smaller than what the networks take

RADII = (0.13, 0.45)  # the smallest and the largest mean of a tumour, in half volumes
ROUGHNESS = 0.2  # standard deviation of the logarithm of the radius over the directions


def generate(
    index: int, *, size: int, seed: int = 0
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """One image (4, size, size, size), exactly 0 outside the brain, and its labels as in BraTS."""
    rng = np.random.default_rng([seed, index])
    axis = (np.arange(size) + 0.5) * (2.0 / size) - 1.0
    varied = 0.03 * rng.standard_normal(3).clip(-1.5, 1.5)
    head = _Head(rng, (axis, axis, axis), np.array([0.88, 0.92, 0.88]) * np.exp(varied))
    brain = _distance(head.axes, rng.uniform(-0.03, 0.03, 3), head.half_edges) < 1.0
    tissue = head.tissue()
    labels = np.zeros(brain.shape, np.uint8)
    for _ in range(1 + (rng.uniform() < 0.15)):
        tissue, covers = head.with_tumour(tissue)
        for label, cover in zip((OEDEMA, CORE, ENHANCING), covers, strict=True):
            labels[cover >= 0.5] = label
    labels[~brain] = 0
    return np.where(brain, head.measured(tissue), 0).astype(np.int16), labels


def source(count: int, size: int, spacing: float, seed: int, modalities: Sequence[str]) -> Source:
    """A generated set; samples are made when they are asked for."""
    _check(count, size, spacing, least_count=3)
    channels = modality_names(modalities)
    check_channels(channels, MODALITIES, "generated data")
    options: dict[str, Any] = {"size": size, "spacing": spacing, "seed": seed}
    cases = series(_sample, count, REGIONS, **options, modalities=channels)
    return Source(cases, channels, tuple(REGIONS), ("whole",), 3)


def _sample(
    regions: Sequence[str], index: int, spacing: float, modalities: Sequence[str], **options: int
) -> Sample:
    image, labels = generate(index, **options)
    chosen = image[[MODALITIES.index(modality) for modality in modalities]].astype(np.float32)
    case = Case(generated_name(index), regions=REGIONS)
    masks = region_masks(torch.from_numpy(labels), case, regions)
    affine = torch.zeros(4, 4, dtype=torch.float64)
    # To superior, posterior and left, about the centre.
    affine[[2, 1, 0, 3], [0, 1, 2, 3]] = torch.tensor([spacing, -spacing, -spacing, 1]).double()
    affine[:3, 3] = -affine[:3, :3].sum(1) * (len(labels) - 1) / 2
    return Sample(case.name, MetaTensor(torch.from_numpy(chosen), affine), masks)


def write_generated(
    out: Path, count: int = 48, size: int = 48, spacing: float = 2.0, seed: int = 0
) -> None:
    """Write generated volumes and segmentations to a folder, in the layout of BraTS 2021.

    Args:
        out: new or empty folder.
        count: number of cases.
        size: edge of a volume in voxels.
        spacing: edge of a voxel in millimetres.
        seed: other seeds give other cases.
    """
    _check(count, size, spacing, least_count=1)
    # As the files of BraTS: first to the left, then to posterior, then to superior.
    affine = np.diag([-spacing, -spacing, spacing, 1.0])
    affine[:3, 3] = -affine.diagonal()[:3] * (size - 1) / 2
    with new_folder(out) as temporary:
        for index in range(count):
            name = generated_name(index)
            (temporary / name).mkdir()
            image, labels = generate(index, size=size, seed=seed)
            for kind, values in zip((*MODALITIES, "seg"), (*image, labels), strict=True):
                stored: Any = nib.Nifti1Image(values.T, affine)
                stored.header.set_xyzt_units("mm")
                nib.save(stored, temporary / name / f"{name}_{kind}.nii.gz")


def _check(count: int, size: int, spacing: float, least_count: int) -> None:
    check_series(count, size, 3, least_count, LEAST_SIZE)
    if not 0 < spacing < np.inf:
        raise UserError(f"--spacing {spacing}: must be a positive number of millimetres")


@dataclass(frozen=True, eq=False)
class _Head:
    """Makes up the tissue of one head; `half_edges` are the half axes of its brain."""

    rng: np.random.Generator
    axes: Axes
    half_edges: Field

    def waves(self, wavelength: float) -> Field:
        return plane_waves(self.rng, self.axes, wavelength)

    def place(self) -> tuple[Axes, float]:
        """Coordinates about a centre, uniform in the brain, in units of a radius, and that."""
        radius = float(np.exp(self.rng.uniform(*np.log(RADII))))
        direction = self.rng.standard_normal(3)
        direction *= self.rng.uniform() ** (1 / 3) / np.linalg.norm(direction)
        centre = direction * np.clip(self.half_edges - 0.8 * radius, 0.05, None)
        return tuple((a - c) / radius for a, c in zip(self.axes, centre, strict=True)), radius

    def outline(self, own: Axes) -> Field:
        """Distance from the centre of a blob in units of that of its outline; alike at any size."""
        stretch = np.exp(self.rng.normal(0.0, 0.15, 3))
        distance = _distance(own, np.zeros(3), stretch / np.prod(stretch) ** (1 / 3))
        depth: Field = distance * np.exp(ROUGHNESS * plane_waves(self.rng, own, 1.6))
        return depth

    def blob(self) -> tuple[Field, float]:
        """A region of the size and shape of a tumour, below 1 inside, and its mean radius."""
        own, radius = self.place()
        return self.outline(own), radius

    def tissue(self) -> Field:
        """The brightness of a brain without tumour, of shape (4, size, size, size)."""
        rng = self.rng
        tissue = _blend(BRIGHTNESS["grey matter"], "white matter", _soft(2.0 * self.waves(0.45)))
        for side in (-1.0, 1.0):
            centre = rng.normal([0.1, 0.0, 0.13 * side], 0.03)
            edges = rng.uniform([0.1, 0.2, 0.05], [0.16, 0.32, 0.09])
            ventricle = _distance(self.axes, centre, edges)
            tissue = _blend(tissue, "fluid", _soft(12.0 * (1.0 - ventricle)))
        edge = _soft(25.0 * (_distance(self.axes, np.zeros(3), self.half_edges) - 0.9))
        furrow = np.exp(-((self.waves(0.5) / 0.3) ** 2))
        tissue = _blend(tissue, "fluid", edge * furrow)
        for _ in range(rng.integers(0, 3)):  # cysts
            tissue = _blend(tissue, "fluid", _soft(10.0 * (1.0 - self.blob()[0])))
        for _ in range(rng.integers(0, 3)):  # bright sheets, thin and fading out to all sides
            extent, radius = self.blob()
            sheets = np.exp(-((self.waves(2.5 * radius) / 0.3) ** 2))
            tissue = _blend(tissue, "streak", sheets * np.exp(-(extent**2)))
        for _ in range(rng.integers(0, 4)):
            patch, _ = self.blob()
            tissue = _blend(tissue, "oedema", rng.uniform(0.4, 0.9) * np.exp(-1.5 * patch**2))
        return tissue

    def with_tumour(self, healthy: Field) -> tuple[Field, tuple[Field, Field, Field]]:
        """Tissue with a tumour, and how much of a voxel is whole, core and enhancing."""
        rng = self.rng
        own, _ = self.place()
        depth = self.outline(own)
        pieces = depth + 0.12 * plane_waves(rng, own, 1.0)
        core_at, rim = rng.uniform(0.5, 0.75), rng.uniform(0.55, 0.8)
        whole = _covered(depth, 1.0, own)
        core = np.minimum(whole, _covered(pieces, core_at, own))
        necrosis = _covered(pieces, core_at * rim, own) if rng.uniform() < 0.8 else core
        covers = (whole, core, np.clip(core - necrosis, 0.0, 1.0))
        texture, strength = plane_waves(rng, own, 0.7), rng.uniform(0.7, 1.1)
        grain = 1.0 + rng.uniform(0.05, 0.1) * texture
        tissue = healthy
        for kind, cover in zip(("oedema", "core", "enhancing"), covers, strict=True):
            tissue = _blend(tissue, kind, cover)
        changed = healthy + strength * (tissue - healthy)
        return changed * (whole * grain + (1.0 - whole)), covers

    def measured(self, tissue: Field) -> Field:
        """What a scanner makes of it: uneven sensitivity, grain, noise and its own units."""
        channels = []
        for channel in tissue:
            uneven = np.exp(0.12 * self.waves(2.5))
            grain = 1.0 + 0.04 * self.waves(0.2)
            noise = self.rng.normal(0.0, 0.025, channel.shape).astype(np.float32)
            units = np.exp(self.rng.uniform(np.log(300.0), np.log(2000.0)))
            channels.append(np.clip(units * (channel * uneven * grain + noise), 1.0, 30000.0))
        return np.stack(channels)


def _distance(axes: Axes, centre: Field, half_edges: Field) -> Field:
    """Distance from a centre in units of the half axes of an ellipsoid: 1 on its surface."""
    parts = zip(axes, centre, half_edges, strict=True)
    depth, row, column = (((axis - place) / length) ** 2 for axis, place, length in parts)
    return np.sqrt(depth[:, None, None] + row[:, None] + column).astype(np.float32)


def _covered(depth: Field, outline: float, own: Axes) -> Field:
    """The share of each voxel within an outline, with an edge about one voxel wide."""
    voxel = float(own[0][1] - own[0][0])
    return np.clip((outline - depth) / voxel + 0.5, 0.0, 1.0).astype(np.float32)


def _blend(brightness: Field, tissue: str, share: Field) -> Field:
    return brightness + (BRIGHTNESS[tissue] - brightness) * share.astype(np.float32)


def _soft(values: Field) -> Field:
    """From 0 far below 0 to 1 far above."""
    return 1.0 / (1.0 + np.exp(-np.clip(values, -30.0, 30.0)))
