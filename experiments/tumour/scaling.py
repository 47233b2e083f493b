"""How well a network segments what appears smaller than what it was trained on.

At each scale s every test case is segmented by two protocols:

    resampled   the preprocessed volume and its mask are scaled about the centre by s, as if the
                patient were smaller, and compared there. Distances are those of the smaller patient
    spacing     the volume as it came is preprocessed at voxels of spacing / s, as if the scanner
                were coarser; the probabilities are brought back to the voxels of the volume,
                linearly, cut at one half, and compared there with the mask as it came

In both the network sees everything s times as large, in voxels, as in training. The first asks for
nothing but the outline on the grid of the network; the second for the outline that a radiologist
gets, on the original voxels, and at scale 1 too includes what bringing it back costs. Volumes are
resampled by cubic splines ("resampled") or linearly, as in preprocessing ("spacing"), in both
cases without aliasing; masks linearly, and cut at one half.

How far the masks are from scaling with the volume is seen without the truth. With `p(f)` the
probabilities that the network gives for the volume f and S the scaling about the centre, the
protocol "commutation" has

    error       2 ‖p(S f) - S p(f)‖ / (‖p(S f)‖ + ‖S p(f)‖)
    floor       half the error of p(f) scaled there and back: what interpolation alone costs
    agreement   Dice([p(S f)], [S p(f)])

where [·] cuts at one half. An equivariant network has error 0 and agreement 1. The sum in the
denominator bounds the error by 2, also for a network that finds nothing at one of the scales.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd
import torch
from monai.transforms.croppad.array import ResizeWithPadOrCrop
from torch import Tensor, nn

from experiments.data.cases import Sample
from experiments.data.transforms import prepare, restore
from experiments.results.frames import Frames, spread
from experiments.results.metrics import dice, scores
from experiments.results.table import rows_of
from gcnn.equivariance import Blobs, layer_errors
from gcnn.geometry import zoom
from gcnn.groups import ScaleTranslation

__all__ = [
    "ALL",
    "PROTOCOLS",
    "SCALES",
    "SCALINGS",
    "commutation",
    "layer_rows",
    "measure_scaling",
    "zoom_mask",
]

PROTOCOLS = ("resampled", "spacing")
SCALES = (0.7, 0.8, 0.9, 1.0)
SCALINGS = (1.0, 0.9, 0.81, 0.729)
"""By which the layers of every network are measured that has no scalings of its own."""

ALL = "all regions"
"""What commutation is of."""

_BLOBS, _SLICES = 48, 12

Segment: TypeAlias = Callable[[Tensor], Tensor]
"""From a preprocessed image (M, D, H, W) to probabilities (R, D, H, W)."""


def measure_scaling(
    segment: Segment,
    volumes: Iterable[Sample],
    regions: Sequence[str],
    spacing: float,
    scales: Sequence[float] = SCALES,
    progress: Callable[[], None] | None = None,
) -> tuple[pd.DataFrame, Frames]:
    """Segment every volume at every scale by both protocols; see the module's page.

    Args:
        segment: gives the probabilities (R, D, H, W) of a preprocessed image (M, D, H, W).
        volumes: as they came, with masks; one is held at a time.
        regions: names of the R channels.
        spacing: of the voxels on which the network was trained, in millimetres.
        scales: positive.
        progress: called when a volume is done at one scale.

    Returns:
        Rows of the table of results, and slices of the first volume at every scale.

    Raises:
        ValueError: there are no scales, one is not positive, or a volume has no mask.
    """
    if not scales or not all(math.isfinite(scale) and scale > 0 for scale in scales):
        raise ValueError(f"scales {list(scales)}: name at least one, all positive")
    tables: list[pd.DataFrame] = []
    frames: Frames | None = None
    for volume in volumes:
        case = _Case(volume, spacing, segment)
        observed = {scale: case.resampled(scale) for scale in scales}
        frames = frames or _frames(case, observed)
        for scale in scales:
            for protocol, (found, mask, voxels) in (
                (
                    "resampled",
                    (observed[scale], zoom_mask(case.mask, scale), case.prepared.spacing),
                ),
                ("spacing", (case.respaced(scale), case.native_mask, case.native.spacing)),
            ):
                true = mask.float()[None]
                values = scores(found[None], true, voxels)
                present = true.flatten(2).any(2)
                tables.append(rows_of(values, [volume.name], regions, protocol, scale, present))
            values = commutation(observed[scale], case.still, scale)
            tables.append(rows_of(values, [volume.name], [ALL], "commutation", scale))
            if progress is not None:
                progress()
    if frames is None:
        raise ValueError("there are no volumes")
    return pd.concat(tables, ignore_index=True), frames


class _Case:
    """One volume, preprocessed and segmented as it is once."""

    def __init__(self, volume: Sample, spacing: float, segment: Segment) -> None:
        self.native = volume
        self.spacing = spacing
        self.segment = segment
        self.prepared = prepare(volume, spacing=spacing)
        if volume.mask is None or self.prepared.mask is None:
            raise ValueError(f"{volume.name} has no segmentation to compare with")
        self.native_mask = volume.mask
        self.mask = self.prepared.mask
        self.image = self.prepared.values
        self.still = segment(self.image)

    def resampled(self, scale: float) -> Tensor:
        """The probabilities for the scaled volume."""
        return self.still if scale == 1 else self.segment(zoom(self.image, scale, dim=3))

    def respaced(self, scale: float) -> Tensor:
        """The probabilities at another spacing, on the voxels of the volume as it came."""
        prepared, found = self.prepared, self.still
        if scale != 1:
            prepared = prepare(self.native, spacing=self.spacing / scale)
            found = self.segment(prepared.values)
        return restore(prepared, found)


def _frames(case: _Case, observed: dict[float, Tensor]) -> Frames:
    """Axial slices of the first channel at every scale, at the same places of the patient."""
    places = [(i + 0.5) / case.image.shape[1] for i in range(case.image.shape[1])]
    places = [places[i] for i in spread(len(places), _SLICES)]
    area = case.mask[0].flatten(1).sum(1).tolist()
    best = min(
        range(len(places)), key=lambda i: abs(places[i] * len(area) - 0.5 - int(np.argmax(area)))
    )
    scales = sorted(observed, reverse=True)
    stops = {
        "scale": [f"{scale:g}" for scale in scales],
        "slice": [f"{100 * place:.0f} %" for place in places],
    }
    frames = Frames(
        case.native.name, stops, scales.index(1.0) * len(places) + best if 1.0 in scales else best
    )
    low, high = np.percentile(case.image[0], [1, 99.5])
    for scale in scales:
        image = zoom(case.image[:1], scale, dim=3)[0] if scale != 1 else case.image[0]
        # Shown on the grid of the volume as it is, so that a smaller patient is a smaller picture.
        fit = ResizeWithPadOrCrop(case.image.shape[1:], value=image.min().item())
        shown = torch.as_tensor(fit(image[None]))[0]
        fit = ResizeWithPadOrCrop(case.image.shape[1:])
        truth = torch.as_tensor(fit(zoom_mask(case.mask, scale))) > 0
        found = torch.as_tensor(fit(observed[scale])) > 0.5
        score = dice(found.float()[None], truth.float()[None]).mean().item()
        for place, name in zip(places, stops["slice"], strict=True):
            middle = 0.5 + (place - 0.5) * scale
            index = min(int(middle * shown.shape[0]), shown.shape[0] - 1)
            frames.add(
                ((shown[index] - low) / max(high - low, 1e-6)).numpy(),
                truth[:, index].numpy(),
                found[:, index].numpy(),
                f"scale {scale:g}, slice at {name}, Dice of the volume {score:.2f}",
                case.prepared.spacing[1:],
            )
    return frames


def zoom_mask(mask: Tensor, factor: float) -> Tensor:
    """Masks (*, D, H, W) of 0 and 1 scaled linearly and cut at one half; their own dtype."""
    return (zoom(mask.float(), factor, 3, "linear") > 0.5).to(mask.dtype)


def commutation(observed: Tensor, still: Tensor, factor: float) -> dict[str, Tensor]:
    """Compare `observed` = p(S f) with S p(f).

    Args:
        observed: probabilities (R, ...) for the scaled volume.
        still: probabilities (R, D, H, W) for the volume as it is.
        factor: by which it was scaled.

    Returns:
        `error`, `floor` and `agreement`, (1, 1) each; the last is NaN where both masks are empty:
        they agree, but say nothing.
    """
    expected = zoom(still, factor, dim=3).clamp(0, 1)
    back = zoom(expected, 1 / factor, dim=3, size=still.shape[-3:]).clamp(0, 1)
    masks = [(p > 0.5).float()[None] for p in (observed, expected)]
    known = masks[0].flatten(2).any(2) | masks[1].flatten(2).any(2)
    return {
        "error": torch.tensor([[_relative(observed, expected)]]),
        "floor": torch.tensor([[_relative(still, back) / 2]]),
        "agreement": dice(*masks)[known].mean().reshape(1, 1),
    }


def _relative(one: Tensor, other: Tensor) -> float:
    size = one.double().norm() + other.double().norm()
    return float(2 * (one.double() - other.double()).norm() / size.clamp(min=1e-300))


def layer_rows(network: nn.Module, channels: int) -> pd.DataFrame:
    """The error of every layer for each scaling but the identity, as rows of the table of results.

    Measured on smooth random blobs that are scaled analytically, so that the input is free of
    interpolation error; see `gcnn.equivariance.layer_errors`. The maps of an ordinary network are
    plain images, and are compared as such with the same scalings.

    Args:
        network: from volumes (B, M, D, H, W) to logits.
        channels: M.
    """
    own = getattr(network, "group", None)
    group = own if isinstance(own, ScaleTranslation) else ScaleTranslation(SCALINGS, dim=3)
    blobs = Blobs(size=_BLOBS, channels=channels, batch=1, dim=3)
    tables = []
    for element, scale in enumerate(group.scales):
        if scale != 1:
            for row in layer_errors(network, group, blobs, element).rows:
                values = {k: torch.tensor([[getattr(row, k)]]) for k in ("error", "own", "floor")}
                tables.append(rows_of(values, [row.name], [row.kind], "layers", scale))
    return pd.concat(tables, ignore_index=True)
