"""Random changes of the training samples, as a function of the random state alone.

- `none`: the samples as they are. The default: what is studied is what the architecture gives.
- `light`, of images: mirrored left to right, zoomed by up to 10 %, and other exposure, contrast and
  white balance. Up stays up. `rotate` turns them by any angle, too.
- `flip`, of volumes: mirrored left to right. `scale` zooms them about the centre, too.

`rotate` and `scale` are what one would do without an equivariant network. Where patches are asked
for, one is cut from each volume, about half of them around a voxel of one of the regions.
"""

from typing import Any, Literal, TypeAlias

import numpy as np
from monai import transforms as change
from monai.transforms import Compose, Randomizable

ImageChange: TypeAlias = Literal["none", "light", "rotate"]
VolumeChange: TypeAlias = Literal["none", "flip", "scale"]

FACTORS = (0.7, 1.1)  # the range of the zoom of volumes

_BOTH = ["image", "mask"]


def augmentation(kind: ImageChange | VolumeChange, patch: int | None = None) -> Compose | None:
    """The changes of items `{"image": (C, *space), "mask": (R, *space), ...}`; None for none.

    With a `patch` a cube of this edge in voxels is cut out.
    """
    steps: list[Any] = []
    if kind in ("light", "rotate"):
        move = {"rotate_range": np.pi if kind == "rotate" else 0.0, "scale_range": 0.1}
        fill = {"mode": ["bilinear", "nearest"], "padding_mode": "reflection"}
        steps = [
            change.RandFlipd(_BOTH, prob=0.5, spatial_axis=1),
            change.RandAffined(_BOTH, prob=1.0, **move, **fill),
            change.RandScaleIntensityd("image", factors=0.15, prob=1.0, channel_wise=False),
            change.RandScaleIntensityd("image", factors=0.05, prob=1.0, channel_wise=True),
            change.RandAdjustContrastd("image", gamma=(0.8, 1.25), prob=1.0),
            change.ThresholdIntensityd("image", threshold=1.0, above=False, cval=1.0),
        ]
    if kind in ("flip", "scale"):
        steps = [change.RandFlipd(_BOTH, prob=0.5, spatial_axis=2)]
    if kind == "scale":
        fill = {"mode": "trilinear", "padding_mode": "constant"}
        zoom = change.RandZoomd(_BOTH, 1.0, min_zoom=FACTORS[0], max_zoom=FACTORS[1], **fill)
        steps += [zoom, change.AsDiscreted("mask", threshold=0.5)]
    if patch is not None:
        steps.append(RandomPatch(patch))
    return Compose([*steps, change.EnsureTyped(_BOTH, track_meta=False)]) if steps else None


class RandomPatch(Randomizable):
    """Cut out a cube around a voxel that is equally likely to be of a region or not.

    MONAI's crop gives a list of patches, and takes the first of several channels of a mask for
    background; here every item stays one, and every region counts. Volumes are at least as large.
    """

    def __init__(self, edge: int) -> None:
        self.crop = change.RandCropByPosNegLabeld(_BOTH, "any", (edge,) * 3, num_samples=1)

    def set_random_state(self, seed: int | None = None, state: Any = None) -> "RandomPatch":
        self.crop.set_random_state(seed, state)
        return self

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        (patch,) = self.crop({**item, "any": item["mask"].amax(0, keepdim=True)})
        return {key: patch[key] for key in item}
