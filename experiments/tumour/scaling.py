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

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd
import torch
from monai.transforms.croppad.array import ResizeWithPadOrCrop
from torch import Tensor, nn

from experiments.data.cases import Sample
from experiments.data.transforms import Prepared, prepare, restore
from experiments.results.frames import Frames, spread
from experiments.results.metrics import dice, scores
from experiments.results.table import rows_of
from gcnn.equivariance import Blobs, layer_errors
from gcnn.geometry import zoom
from gcnn.groups import ScaleTranslation

SCALES = (0.7, 0.8, 0.9, 1.0)
SCALINGS = (1.0, 0.9, 0.81, 0.729)
"""By which the layers of every network are measured that has no scalings of its own."""

_BLOBS, _SLICES = 48, 12


def measure_scaling(
    segment: Callable[[Tensor], Tensor],
    volumes: Iterable[Sample],
    regions: Sequence[str],
    spacing: float,
    scales: Sequence[float] = SCALES,
) -> tuple[pd.DataFrame, Frames]:
    """Segment every volume at every scale by both protocols.

    Args:
        segment: gives the probabilities (R, D, H, W) of a preprocessed image (M, D, H, W).
        volumes: as they came, with masks; one is held at a time.
        regions: names of the R channels.
        spacing: of the voxels on which the network was trained, in millimetres.
        scales: positive.

    Returns:
        Rows of the table of results, and slices of the first volume at every scale.
    """
    tables: list[pd.DataFrame] = []
    frames: list[Frames] = []
    for volume in volumes:
        prepared = prepare(volume, spacing=spacing)
        if volume.mask is None or prepared.mask is None:
            raise ValueError(f"{volume.name} has no segmentation to compare with")
        image, still = prepared.values, segment(prepared.values)
        observed = {s: still if s == 1 else segment(zoom(image, s, dim=3)) for s in scales}
        if not frames:
            frames.append(_frames(prepared, prepared.mask, observed))
        for scale in scales:
            coarse = prepared if scale == 1 else prepare(volume, spacing=spacing / scale)
            respaced = still if scale == 1 else segment(coarse.values)
            answers = {
                "resampled": (observed[scale], zoom_mask(prepared.mask, scale), prepared.spacing),
                "spacing": (restore(coarse, respaced), volume.mask, volume.spacing),
            }
            for protocol, (found, mask, voxels) in answers.items():
                true = mask.float()[None]
                values, present = scores(found[None], true, voxels), true.flatten(2).any(2)
                tables.append(rows_of(values, [volume.name], regions, protocol, scale, present))
            values = commutation(observed[scale], still, scale)
            tables.append(rows_of(values, [volume.name], ["all regions"], "commutation", scale))
    return pd.concat(tables, ignore_index=True), frames[0]


def _frames(prepared: Prepared, mask: Tensor, observed: dict[float, Tensor]) -> Frames:
    """Axial slices of the first channel at every scale, at the same places of the patient."""
    image = prepared.values[:1]
    depth, scales = image.shape[1], sorted(observed, reverse=True)
    slices = spread(depth, _SLICES)
    largest = int(mask[0].flatten(1).sum(1).argmax())
    start = min(range(len(slices)), key=lambda i: abs(slices[i] - largest))
    start += len(slices) * (scales.index(1.0) if 1.0 in scales else 0)
    places = {f"{100 * (index + 0.5) / depth:.0f} %": (index + 0.5) / depth for index in slices}
    stops = {"scale": [f"{scale:g}" for scale in scales], "slice": list(places)}
    frames = Frames(prepared.name, stops, start)
    low, high = np.percentile(image, [1, 99.5])
    # In the frame of the volume as it is, so that a smaller patient is a smaller picture.
    fit_image = ResizeWithPadOrCrop(image.shape[2:], value=image.min().item())
    fit = ResizeWithPadOrCrop(image.shape[2:])
    for scale in scales:
        shown = zoom(image, scale, dim=3) if scale != 1 else image
        truth, found = zoom_mask(mask, scale).float(), (observed[scale] > 0.5).float()
        score = dice(found[None], truth[None]).mean().item()
        for name, place in places.items():
            index = int(place * shown.shape[1])
            frames.add(
                ((fit_image(shown[:, index])[0] - low) / max(high - low, 1e-6)).numpy(),
                fit(truth[:, index]).numpy() > 0,
                fit(found[:, index]).numpy() > 0,
                f"scale {scale:g}, slice at {name}, Dice of the volume {score:.2f}",
                prepared.spacing[1:],
            )
    return frames


def zoom_mask(mask: Tensor, factor: float) -> Tensor:
    """Masks (*, D, H, W) of 0 and 1 scaled linearly and cut at one half; their own dtype."""
    return (zoom(mask.float(), factor, 3, "linear") > 0.5).to(mask.dtype)


def commutation(observed: Tensor, still: Tensor, factor: float) -> dict[str, Tensor]:
    """Compare `observed` = p(S f) with S p(f), for `still` = p(f), (R, D, H, W) both.

    Returns:
        `error`, `floor` and `agreement`, (1, 1) each; the last is NaN where both masks are empty:
        they agree, but say nothing.
    """
    expected = zoom(still, factor, dim=3).clamp(0, 1)
    back = zoom(expected, 1 / factor, dim=3, size=still.shape[-3:]).clamp(0, 1)
    masks = [(p > 0.5).float()[None] for p in (observed, expected)]
    known = masks[0].flatten(2).any(2) | masks[1].flatten(2).any(2)
    return {
        "error": _relative(observed, expected).reshape(1, 1),
        "floor": _relative(still, back).reshape(1, 1) / 2,
        "agreement": dice(*masks)[known].mean().reshape(1, 1),
    }


def _relative(one: Tensor, other: Tensor) -> Tensor:
    size: Tensor = one.double().norm() + other.double().norm()
    return 2 * (one.double() - other.double()).norm() / size.clamp(min=1e-300)


def layer_rows(network: nn.Module, channels: int) -> pd.DataFrame:
    """The error of every layer for each scaling but the identity, as rows of the table of results.

    Measured on smooth random blobs that are scaled analytically, so that the input is free of
    interpolation error; see `gcnn.equivariance.layer_errors`. The maps of an ordinary network are
    plain images, and are compared as such with the same scalings.
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
