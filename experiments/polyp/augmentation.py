"""Random changes of the training images, as a function of seed, epoch and index alone.

- `none`: the samples as they are. The default: what is studied is what the architecture gives.
- `light`: mirrored left to right, zoomed by up to 10 %, and other exposure, contrast and white
  balance. Up stays up.
- `rotate`: `light`, and turned by any angle: what one would do without an equivariant network.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import numpy as np
from monai.transforms import (
    Compose,
    EnsureTyped,
    RandAdjustContrastd,
    RandAffined,
    RandFlipd,
    RandScaleIntensityd,
    ThresholdIntensityd,
)

Augmentation: TypeAlias = Literal["none", "light", "rotate"]
AUGMENTATIONS: tuple[Augmentation, ...] = get_args(Augmentation)


def augmentation(kind: Augmentation) -> Compose | None:
    """The changes of this kind, of items with `image` and `mask` (channels, height, width)."""
    if kind == "none":
        return None
    image, both = ["image"], ["image", "mask"]
    turn = np.pi if kind == "rotate" else 0.0
    return Compose(
        [
            RandFlipd(keys=both, prob=0.5, spatial_axis=1),
            RandAffined(
                keys=both,
                prob=1.0,
                rotate_range=turn,
                scale_range=0.1,
                mode=["bilinear", "nearest"],
                padding_mode="reflection",
            ),
            RandScaleIntensityd(keys=image, factors=0.15, prob=1.0, channel_wise=False),
            RandScaleIntensityd(keys=image, factors=0.05, prob=1.0, channel_wise=True),
            RandAdjustContrastd(keys=image, gamma=(0.8, 1.25), prob=1.0),
            ThresholdIntensityd(keys=image, threshold=1.0, above=False, cval=1.0),
            EnsureTyped(keys=both, track_meta=False),
        ]
    )
