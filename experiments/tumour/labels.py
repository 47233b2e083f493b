"""From the labels of a segmentation to the regions that a network learns to outline.

The regions are nested (Menze et al., IEEE Transactions on Medical Imaging 2015): the whole tumour
with its oedema, its core without the oedema, and the part of the core that takes up contrast agent.
Which label means what depends on the data set, and in BraTS on the year.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from experiments.common.errors import UserError

RegionSet: TypeAlias = Literal["whole", "all"]
REGION_SETS: tuple[RegionSet, ...] = get_args(RegionSet)

REGIONS: Mapping[RegionSet, tuple[str, ...]] = {
    "whole": ("whole",),
    "all": ("whole", "core", "enhancing"),
}
"""The names of the regions, in the order of the channels of a mask."""

ConventionName: TypeAlias = Literal["brats", "brats2023", "msd", "unofficial"]


@dataclass(frozen=True)
class Convention:
    """What the labels of a data set mean; 0 is no tumour everywhere.

    Attributes:
        oedema: the label of what belongs to the whole tumour only.
        core: the label of what belongs to the core but takes up no contrast agent.
        enhancing: the label of what does.
        may_be_binary: whether a segmentation of only 0 and 1 is an outline of the whole tumour.
    """

    oedema: int
    core: int
    enhancing: int
    may_be_binary: bool = False

    @property
    def allowed(self) -> tuple[int, ...]:
        """Every label there may be, in increasing order."""
        return tuple(sorted({0, self.oedema, self.core, self.enhancing}))


CONVENTIONS: Mapping[ConventionName, Convention] = {
    "brats": Convention(oedema=2, core=1, enhancing=4),
    "brats2023": Convention(oedema=2, core=1, enhancing=3),
    "msd": Convention(oedema=1, core=2, enhancing=3),
    "unofficial": Convention(oedema=2, core=1, enhancing=4, may_be_binary=True),
}
"""BraTS up to 2021, BraTS from 2023, the Medical Segmentation Decathlon, and others' data in the
layout of BraTS."""


def region_masks(
    segmentation: NDArray[Any], convention: ConventionName, regions: tuple[str, ...], name: str
) -> NDArray[np.uint8]:
    """The regions of one segmentation.

    Args:
        segmentation: labels, of shape (depth, rows, columns).
        convention: what they mean.
        regions: one of the values of `REGIONS`.
        name: of the case, for messages.

    Returns:
        An array of shape (regions, depth, rows, columns), 0 or 1.

    Raises:
        UserError: when a label is unknown, or the regions need more than a binary outline.
    """
    meaning = CONVENTIONS[convention]
    found = np.unique(segmentation)
    unknown = [value for value in found.tolist() if value not in meaning.allowed]
    if unknown:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise UserError(
            f"the segmentation of {name} holds the label {unknown[0]:g}{more}: "
            f"{convention} has {', '.join(map(str, meaning.allowed))}"
        )
    if meaning.may_be_binary and found.max() == 1 and regions != REGIONS["whole"]:
        raise UserError(
            f"the segmentation of {name} holds only 0 and 1: it outlines the whole tumour, "
            "so that regions can only be whole"
        )
    inside = {
        "whole": segmentation != 0,
        "core": np.isin(segmentation, (meaning.core, meaning.enhancing)),
        "enhancing": segmentation == meaning.enhancing,
    }
    return np.stack([inside[region] for region in regions]).astype(np.uint8)


def labels_of(masks: NDArray[Any], convention: ConventionName) -> NDArray[np.uint8]:
    """The segmentation that regions make, the inverse of `region_masks`.

    What is outside the whole tumour is 0, whatever the other masks say there, and so for the core:
    masks that a network found need not be nested. A single region is 0 and 1.

    Args:
        masks: of shape (regions, depth, rows, columns), the regions as in `REGIONS`.
        convention: what the labels mean.

    Returns:
        An array of shape (depth, rows, columns).
    """
    if len(masks) == 1:
        labels: NDArray[np.uint8] = (masks[0] != 0).astype(np.uint8)
        return labels
    meaning = CONVENTIONS[convention]
    whole, core, enhancing = (mask != 0 for mask in masks)
    labels = np.where(whole, meaning.oedema, 0).astype(np.uint8)
    labels[whole & core] = meaning.core
    labels[whole & core & enhancing] = meaning.enhancing
    return labels
