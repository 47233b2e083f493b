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
from torch import Tensor
from torch.utils.data import Dataset

from experiments.common.order import EpochIndex

Augmentation: TypeAlias = Literal["none", "light", "rotate"]
AUGMENTATIONS: tuple[Augmentation, ...] = get_args(Augmentation)

Item: TypeAlias = dict[str, Tensor | str]


class AugmentedDataset(Dataset[Item]):
    """A data set whose samples are changed at random, anew in every epoch.

    Args:
        samples: items with `image` and `mask` of shape (channels, height, width).
        augmentation: what is changed.
        seed: of the changes.
    """

    def __init__(self, samples: Dataset[Item], augmentation: Augmentation, seed: int) -> None:
        self.samples = samples
        self.seed = seed
        self.transform = _transform(augmentation)

    def __getitem__(self, key: EpochIndex) -> Item:
        """The sample `key[1]` as it is in epoch `key[0]`."""
        epoch, index = key
        item = self.samples[index]
        if self.transform is None:
            return item
        draw = np.random.SeedSequence([self.seed, epoch, index]).generate_state(1)[0]
        self.transform.set_random_state(seed=int(draw))
        changed: Item = self.transform(dict(item))
        return changed


def _transform(augmentation: Augmentation) -> Compose | None:
    if augmentation == "none":
        return None
    image, both = ["image"], ["image", "mask"]
    turn = np.pi if augmentation == "rotate" else 0.0
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
