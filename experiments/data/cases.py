"""What the data consists of: cases on the disk, what they hold, and one of them in memory."""

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
    """The files of one image or examination; its name is unique within a data set."""

    name: str
    images: Mapping[str, Path] = field(default_factory=dict)  # by channel, in the network's order
    label: Path | None = None  # labels or a mask on the same grid
    group: str = ""  # cases of the same group, such as the frames of a video, are alike
    regions: Regions = field(default_factory=dict)  # none when the label is a binary mask
    volumes: Mapping[str, int] = field(default_factory=dict)  # number in its 4D file, by channel
    binary: bool = False  # whether labels of only 0 and 1 are an outline of the first region
    make: "partial[Sample] | None" = None  # makes up the sample with the regions asked for

    @property
    def files(self) -> list[Path]:
        """All its files, each once, that of the labels last."""
        label = [] if self.label is None else [self.label]
        return list(dict.fromkeys([*self.images.values(), *label]))


@dataclass(frozen=True)
class Source:
    """A data set of images or volumes."""

    cases: Sequence[Case]  # in natural order, 2 before 10
    channels: tuple[str, ...]  # of an image, such as the modalities
    regions: tuple[str, ...]  # that can be segmented
    default: tuple[str, ...]  # those that are, unless others are asked for
    dim: int

    def chosen(self, asked: str | Sequence[str] | None) -> tuple[str, ...]:
        """The regions of these names; `all` stands for every one, None for the default."""
        names = [asked] if isinstance(asked, str) else list(asked or self.default)
        if names == ["all"]:
            return self.regions
        if len(set(names)) < len(names) or set(names) - set(self.regions):
            known = ", ".join(self.regions)
            raise UserError(f"--regions {' '.join(names)}: choose all, or from {known}")
        return tuple(names)


@dataclass(frozen=True, eq=False)
class Sample:
    """One case in memory.

    Images are uint8, volumes float32 `MetaTensor`s whose axes run to superior, posterior and left,
    as a radiologist looks at axial slices.
    """

    name: str
    image: Tensor  # (channels, *space)
    mask: Tensor | None  # uint8 (regions, *space), 0 or 1, if it is known

    @property
    def values(self) -> Tensor:
        """The image as an ordinary tensor, without its place in space."""
        return self.image.as_tensor() if isinstance(self.image, MetaTensor) else self.image

    @property
    def spacing(self) -> tuple[float, ...]:
        """The distances between neighbouring voxels in millimetres; 1 for images."""
        if not isinstance(self.image, MetaTensor):
            return (1.0,) * (self.image.ndim - 1)
        return tuple(self.image.affine[:3, :3].norm(dim=0).tolist())


def natural_key(name: str) -> tuple[tuple[int, str], ...]:
    """A key that sorts the numbers inside names by value: frame2 before frame10."""
    parts = re.findall("[0-9]+|[^0-9]+", name)
    return tuple((int(part), "") if part[0] in "0123456789" else (-1, part) for part in parts)


def check_channels(asked: Sequence[str], known: Sequence[str], where: str) -> None:
    """Raises `UserError` for a modality or channel that is not there."""
    missing = [name for name in asked if name not in known]
    if missing:
        raise UserError(f"--modalities {missing[0]}: choose from {', '.join(known)} of {where}")


def region_masks(labels: Tensor, case: Case, regions: Sequence[str]) -> Tensor:
    """The regions of labels (*space), as uint8 (regions, *space); an unknown label is refused."""
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
    """The labels (*space) that masks (regions, *space) make, the inverse of `region_masks`.

    A region that lies within others counts only where they are too: masks that a network found need
    not be nested. A single region is 0 and 1.
    """
    if len(masks) == 1:
        return masks[0].to(torch.uint8)
    labels = torch.zeros(masks.shape[1:], dtype=torch.uint8)
    by_name = dict(zip(regions, masks.bool(), strict=True))
    for values in sorted(map(set, regions.values()), key=len, reverse=True):
        around = [by_name[name] for name, others in regions.items() if values <= set(others)]
        within = {one for others in regions.values() if set(others) < values for one in others}
        labels[torch.stack(around).all(0)] = min(values - within or values)
    return labels
