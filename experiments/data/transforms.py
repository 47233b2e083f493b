"""Samples as a network takes them, and its answers back on the grids they came on.

Images are brought to a square. Volumes are cropped to the patient, normalised there and brought to
isotropic voxels. Both are averaged where they become coarser, so that fine texture does not alias;
the mask is what covers at least half of a pixel or voxel.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from monai.data.utils import affine_to_spacing
from monai.transforms.croppad.array import SpatialCrop, SpatialPad
from monai.transforms.spatial.array import SpatialResample
from monai.transforms.utils import generate_spatial_bounding_box
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn import functional

from experiments.common.errors import UserError
from experiments.data.cases import Sample
from experiments.data.foreground import foreground

SAME_SPACING = 1e-3  # nothing is resampled when spacings differ by less than this share

_resample = SpatialResample(padding_mode="border", align_corners=True, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Prepared(Sample):
    """A sample as a network takes it, cut out of how it was read, `native`, from start to stop."""

    native: Sample
    start: tuple[int, ...]
    stop: tuple[int, ...]


def prepare(sample: Sample, size: int | None = None, spacing: float | None = None) -> Prepared:
    """A sample as the networks take it; what is None stays as it is.

    Args:
        sample: as it was read.
        size: of images, height and width in pixels.
        spacing: of volumes, of the voxels in millimetres.

    Returns:
        An image, still uint8, or a volume in which every channel has mean 0 and standard deviation
        1 inside the patient, before it is resampled, and is 0 outside.
    """
    channels, masks = len(sample.image), () if sample.mask is None else (sample.mask.float(),)
    both = torch.cat([sample.values.float(), *masks])
    if not isinstance(sample.image, MetaTensor):
        start, stop = [0, 0], sample.image.shape[1:]
        both = _resized(both, (size or stop[1],) * 2)
        image = both[:channels].round().byte()
    else:
        inside = foreground(sample.image.numpy())
        start, stop = generate_spatial_bounding_box(inside[None])
        crop = SpatialCrop(roi_start=start, roi_end=stop)
        both = crop(MetaTensor(both, meta=sample.image.meta))
        within = torch.from_numpy(inside[tuple(map(slice, start, stop))])
        both[:channels] = _normalised(both[:channels], within, sample.name)
        if spacing and not np.allclose(sample.spacing, spacing, rtol=SAME_SPACING, atol=0):
            both = _resampled(both, *_isotropic(both, spacing))
        image = both[:channels]
    mask = both.as_subclass(Tensor)[channels:].ge(0.5).byte() if masks else None
    return Prepared(sample.name, image, mask, sample, tuple(start), tuple(stop))


def restore(prepared: Prepared, probabilities: Tensor) -> Tensor:
    """Probabilities (regions, *space) for a prepared sample on the grid of the sample as it was.

    Interpolated linearly, and averaged where that grid is coarser; 0 outside what was cut out.
    """
    shape = tuple(stop - start for start, stop in zip(prepared.start, prepared.stop, strict=True))
    native = prepared.native.image
    if not isinstance(native, MetaTensor):
        return _resized(probabilities, shape)
    affine = native.affine.clone()
    affine[:3, 3] += affine[:3, :3] @ torch.tensor(prepared.start, dtype=affine.dtype)
    there = MetaTensor(probabilities, affine=prepared.image.affine)
    found = _resampled(there, affine, shape).as_tensor().clamp(0, 1)
    place = (slice(None), *map(slice, prepared.start, prepared.stop))
    result = found.new_zeros(len(found), *native.shape[1:])
    result[place] = found
    return result


def shape_at(spacing: float, shape: Sequence[int], steps: Iterable[float]) -> tuple[int, ...]:
    """How many voxels of an edge in millimetres cover those of other `steps`, along each axis."""
    return tuple(max(1, round(n * step / spacing)) for n, step in zip(shape, steps, strict=False))


def pad(values: Tensor, shape: Sequence[int]) -> Tensor:
    """Values (channels, *smaller) in the middle of zeros (channels, *shape)."""
    padded = SpatialPad(shape)(values)
    return padded.as_tensor() if isinstance(padded, MetaTensor) else torch.as_tensor(padded)


def _resized(values: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Values (channels, H, W) by a triangle filter as wide as the new pixels."""
    return functional.interpolate(values[None], shape, mode="bilinear", antialias=True)[0]


def _normalised(image: MetaTensor, inside: Tensor, name: str) -> MetaTensor:
    values = image.as_tensor()[:, inside].double()
    mean, deviation = values.mean(1), values.std(1, correction=0)
    flat = ~(deviation > 1e-6 * mean.abs().clamp_min(1))
    if flat.any():
        value = mean[flat][0].item()
        raise UserError(f"a modality of {name} is {value:g} everywhere in the patient")
    shape = (-1, 1, 1, 1)
    return (image - mean.view(shape)) / deviation.view(shape) * inside


def _isotropic(image: MetaTensor, spacing: float) -> tuple[Tensor, tuple[int, ...]]:
    """The grid of isotropic voxels with the same centre and about the same field of view."""
    affine, old = image.affine.clone(), affine_to_spacing(image.affine)
    shape = shape_at(spacing, image.shape[1:], old.tolist())
    steps = spacing / old
    edges = [torch.tensor(sizes, dtype=affine.dtype) - 1 for sizes in (image.shape[1:], shape)]
    affine[:3, 3] += affine[:3, :3] @ ((edges[0] - edges[1] * steps) / 2)
    affine[:3, :3] *= steps
    return affine, shape


def _resampled(values: MetaTensor, affine: Tensor, shape: Sequence[int]) -> MetaTensor:
    """Values on another grid: linear, smoothed before by as much as that is coarser.

    Linear interpolation has the variance of a triangle one voxel wide, 1/6; the Gaussian adds what
    is missing to a triangle as wide as the new voxels.
    """
    steps = affine_to_spacing(affine) / affine_to_spacing(values.affine)
    sigma = [sqrt(max(0.0, step**2 - 1) / 6) for step in steps.tolist()]
    if max(sigma) > 0.01:
        smooth = gaussian_filter(values.numpy(), [0.0, *sigma], mode="nearest")
        values = MetaTensor(torch.from_numpy(smooth), meta=values.meta)
    return _resample(values, dst_affine=affine, spatial_size=tuple(shape))
