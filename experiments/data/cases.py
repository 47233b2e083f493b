"""What the data consists of: cases on the disk, what they hold, and one of them in memory."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from monai.data.meta_tensor import MetaTensor
from torch import Tensor

from experiments.common.errors import UserError

Regions = Mapping[str, tuple[int, ...]]
"""The labels that make up each region, by its name. Regions may overlap."""


@dataclass(frozen=True)
class Case:
    """The files of one image or examination.

    Attributes:
        name: unique within a data set.
        images: the file of each channel, in the order of the network's channels.
        label: the file of the labels or the mask, on the same grid; None when there is none.
        group: cases of the same group, such as the frames of a video, are alike.
        regions: what the labels mean; empty when the file is a binary mask.
        volumes: which volume of its 4D file a channel is; empty when the files are 3D.
        binary: whether labels of only 0 and 1 are an outline of the first region.
        make: makes up the sample instead, with the masks of the regions asked for.
    """

    name: str
    images: Mapping[str, Path] = field(default_factory=dict)
    label: Path | None = None
    group: str = ""
    regions: Regions = field(default_factory=dict)
    volumes: Mapping[str, int] = field(default_factory=dict)
    binary: bool = False
    make: partial[Sample] | None = None

    @property
    def files(self) -> list[Path]:
        """All its files, each once, that of the labels last."""
        label = [] if self.label is None else [self.label]
        return list(dict.fromkeys([*self.images.values(), *label]))


@dataclass(frozen=True)
class Source:
    """A data set.

    Attributes:
        cases: in natural order (2 before 10).
        channels: names of the channels of an image, such as the modalities.
        regions: names of all regions that can be segmented.
        default: those that are segmented unless others are asked for.
        dim: 2 for images, 3 for volumes.
    """

    cases: Sequence[Case]
    channels: tuple[str, ...]
    regions: tuple[str, ...]
    default: tuple[str, ...]
    dim: int

    def chosen(self, asked: str | Sequence[str] | None) -> tuple[str, ...]:
        """The regions of these names; `all` stands for every one, None for the default.

        Raises:
            UserError: there is no such region, or one is named twice.
        """
        names = [asked] if isinstance(asked, str) else list(asked or self.default)
        if names == ["all"]:
            return self.regions
        if len(set(names)) < len(names) or set(names) - set(self.regions):
            known = ", ".join(self.regions)
            raise UserError(f"regions are {' '.join(names)}: choose all, or from {known}")
        return tuple(names)


@dataclass(frozen=True, eq=False)
class Sample:
    """One case in memory.

    Attributes:
        name: of the case.
        image: (channels, *space): uint8 for images, for volumes a float32 `MetaTensor` whose axes
            run to superior, posterior and left, as a radiologist looks at axial slices.
        mask: uint8 (regions, *space), 0 or 1; None when it is not known.
    """

    name: str
    image: Tensor
    mask: Tensor | None

    @property
    def values(self) -> Tensor:
        """The image as an ordinary tensor, without its place in space."""
        return self.image.as_tensor() if isinstance(self.image, MetaTensor) else self.image

    @property
    def spacing(self) -> tuple[float, ...]:
        """The distances between neighbouring voxels in millimetres; 1 for images."""
        if isinstance(self.image, MetaTensor):
            return tuple(self.image.affine[:3, :3].norm(dim=0).tolist())
        return (1.0,) * (self.image.ndim - 1)


def natural_key(name: str) -> tuple[tuple[int, str], ...]:
    """A key that sorts the numbers inside names by value: frame2 before frame10."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return (*((int(part), "") if part[0] in "0123456789" else (-1, part) for part in parts),)


def region_masks(labels: Tensor, case: Case, regions: Sequence[str]) -> Tensor:
    """The regions of labels (*space), as uint8 (regions, *space).

    Raises:
        UserError: when a label is unknown, or the regions need more than a binary outline.
    """
    known = {0}.union(*case.regions.values())
    found = labels.unique().tolist()
    unknown = [value for value in found if value not in known]
    if unknown:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise UserError(
            f"{case.label} of {case.name} holds the label {unknown[0]:g}{more}: "
            f"known are {', '.join(map(str, sorted(known)))}"
        )
    first = next(iter(case.regions))
    if case.binary and max(found) == 1 and list(regions) != [first]:
        raise UserError(
            f"{case.label} of {case.name} holds only 0 and 1: it outlines the {first} region, "
            f"so that regions can only be {first}"
        )
    values = [torch.tensor(case.regions[name]).to(labels) for name in regions]
    return torch.stack([torch.isin(labels, one) for one in values]).to(torch.uint8)


def labels_of(masks: Tensor, regions: Regions) -> Tensor:
    """The labels that regions make, the inverse of `region_masks`, as uint8 (*space).

    A region that lies within others counts only where they are too: masks that a network found need
    not be nested. A single region is 0 and 1.

    Args:
        masks: (regions, *space), 0 or 1.
        regions: the labels of each, in the same order.
    """
    if len(masks) == 1:
        return masks[0].to(torch.uint8)
    labels = torch.zeros(masks.shape[1:], dtype=torch.uint8)
    by_name = dict(zip(regions, masks.bool(), strict=True))
    for name in sorted(regions, key=lambda name: -len(regions[name])):
        inside, own = by_name[name], set(regions[name])
        for other, values in regions.items():
            if set(values) > set(regions[name]):
                inside = inside & by_name[other]
            elif set(values) < set(regions[name]):
                own -= set(values)
        labels[inside] = min(own or regions[name])
    return labels
