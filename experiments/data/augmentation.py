"""Random changes of the training samples, as a function of the random state alone.

- `none`: the samples as they are. The default: what is studied is what the architecture gives.

Of images:

- `light`: mirrored left to right, zoomed by up to 10 %, and other exposure, contrast and white
  balance. Up stays up.
- `rotate`: `light`, and turned by any angle: what one would do without an equivariant network.

Of volumes:

- `flip`: mirrored left to right.
- `scale`: `flip`, and zoomed about the centre by a factor from 0.7 to 1.1: what one would do
  without an equivariant network.

Where patches are asked for, one is cut from each volume, about half of them around a voxel of one
of the regions.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from monai.transforms import (
    AsDiscreted,
    Compose,
    EnsureTyped,
    RandAdjustContrastd,
    RandAffined,
    RandCropByPosNegLabeld,
    RandFlipd,
    Randomizable,
    RandScaleIntensityd,
    RandZoomd,
    ThresholdIntensityd,
)

ImageChange: TypeAlias = Literal["none", "light", "rotate"]
IMAGE_CHANGES: tuple[ImageChange, ...] = get_args(ImageChange)
VolumeChange: TypeAlias = Literal["none", "flip", "scale"]
VOLUME_CHANGES: tuple[VolumeChange, ...] = get_args(VolumeChange)

FACTORS = (0.7, 1.1)
"""The range of the zoom of volumes."""

_IMAGE, _BOTH = ["image"], ["image", "mask"]


def augmentation(kind: ImageChange | VolumeChange, patch: int | None = None) -> Compose | None:
    """The changes of items `{"image": (C, *space), "mask": (R, *space), ...}`.

    Args:
        kind: see the module's page.
        patch: edge in voxels of the cube that is cut out; None keeps the whole volume, whose shape
            does not change.

    Returns:
        A transform, or None when nothing changes.
    """
    steps: list[Any] = []
    if kind in ("light", "rotate"):
        steps += _of_images(np.pi if kind == "rotate" else 0.0)
    if kind in ("flip", "scale"):
        steps.append(RandFlipd(keys=_BOTH, prob=0.5, spatial_axis=2))
    if kind == "scale":
        low, high = FACTORS
        steps.append(
            RandZoomd(
                keys=_BOTH,
                prob=1.0,
                min_zoom=low,
                max_zoom=high,
                mode="trilinear",
                padding_mode="constant",
            )
        )
        steps.append(AsDiscreted(keys="mask", threshold=0.5))
    if patch is not None:
        steps.append(RandomPatch(patch))
    return Compose([*steps, EnsureTyped(keys=_BOTH, track_meta=False)]) if steps else None


def _of_images(turn: float) -> list[Any]:
    return [
        RandFlipd(keys=_BOTH, prob=0.5, spatial_axis=1),
        RandAffined(
            keys=_BOTH,
            prob=1.0,
            rotate_range=turn,
            scale_range=0.1,
            mode=["bilinear", "nearest"],
            padding_mode="reflection",
        ),
        RandScaleIntensityd(keys=_IMAGE, factors=0.15, prob=1.0, channel_wise=False),
        RandScaleIntensityd(keys=_IMAGE, factors=0.05, prob=1.0, channel_wise=True),
        RandAdjustContrastd(keys=_IMAGE, gamma=(0.8, 1.25), prob=1.0),
        ThresholdIntensityd(keys=_IMAGE, threshold=1.0, above=False, cval=1.0),
    ]


class RandomPatch(Randomizable):
    """Cut out a cube around a voxel that is equally likely to be of a region or not.

    MONAI's crop gives a list of patches, and takes the first of several channels of a mask for
    background; here every item stays one, and every region counts.

    Args:
        edge: of the cube in voxels; the volumes are at least that large.
    """

    def __init__(self, edge: int) -> None:
        self.crop = RandCropByPosNegLabeld(
            keys=_BOTH, label_key="any", spatial_size=(edge,) * 3, num_samples=1
        )

    def set_random_state(self, seed: int | None = None, state: Any = None) -> RandomPatch:
        """Fix what the next call draws."""
        self.crop.set_random_state(seed, state)
        return self

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        """One patch of the volume."""
        (patch,) = self.crop({**item, "any": item["mask"].amax(0, keepdim=True)})
        return {key: patch[key] for key in item}
