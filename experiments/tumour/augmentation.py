"""Random changes of the training volumes, as a function of the random state alone.

- `none`: the volumes as they are. The default: what is studied is what the architecture gives.
- `flip`: mirrored left to right.
- `scale`: `flip`, and zoomed about the centre by a factor from 0.7 to 1.1: what one would do
  without an equivariant network.

Where patches are asked for, one is cut from each volume, about half of them around a voxel of the
tumour.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

from monai.transforms import (
    AsDiscreted,
    Compose,
    EnsureTyped,
    RandCropByPosNegLabeld,
    RandFlipd,
    Randomizable,
    RandZoomd,
)

from experiments.common.datamodule import Item

Augmentation: TypeAlias = Literal["none", "flip", "scale"]
AUGMENTATIONS: tuple[Augmentation, ...] = get_args(Augmentation)

FACTORS = (0.7, 1.1)
"""The range of the zoom."""

LEFT_RIGHT = 2
"""The axis of space that is mirrored."""

BOTH = ("image", "mask")


def augmentation_transform(augmentation: Augmentation, patch: int | None) -> Compose | None:
    """What is done to items `{"image": (M, D, H, W), "mask": (R, D, H, W), ...}`.

    Args:
        augmentation: what is changed.
        patch: edge in voxels of the cube that is cut out; None keeps the whole volume, whose shape
            does not change.

    Returns:
        A transform, or None when nothing changes.
    """
    steps: list[Any] = []
    if augmentation != "none":
        steps.append(RandFlipd(keys=BOTH, prob=0.5, spatial_axis=LEFT_RIGHT))
    if augmentation == "scale":
        steps.append(
            RandZoomd(
                keys=BOTH,
                prob=1.0,
                min_zoom=FACTORS[0],
                max_zoom=FACTORS[1],
                mode="trilinear",
                padding_mode="constant",
            )
        )
        steps.append(AsDiscreted(keys="mask", threshold=0.5))
    if patch is not None:
        steps.append(RandomPatch(patch))
    return Compose([*steps, EnsureTyped(keys=BOTH, track_meta=False)]) if steps else None


class RandomPatch(Randomizable):
    """Cut out a cube around a voxel that is equally likely to be of the tumour or not.

    MONAI's crop gives a list of patches, and takes the first of several channels of a mask for
    background; here every item stays one, and the first region is the whole tumour.

    Args:
        edge: of the cube in voxels; the volumes are at least that large.
    """

    def __init__(self, edge: int) -> None:
        self.crop = RandCropByPosNegLabeld(
            keys=BOTH, label_key="whole", spatial_size=(edge,) * 3, num_samples=1
        )

    def set_random_state(self, seed: int | None = None, state: Any = None) -> RandomPatch:
        """Fix what the next call draws."""
        self.crop.set_random_state(seed, state)
        return self

    def __call__(self, item: Item) -> Item:
        """One patch of the volume."""
        volumes: dict[Any, Any] = {**item, "whole": item["mask"][:1]}
        (patch,) = self.crop(volumes)
        return {key: patch[key] for key in item}
