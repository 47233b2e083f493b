"""Input lifting: any module made equivariant by showing it the moved images."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvTransposeNd

from gcnn.geometry import scaled_size, scales_of, transform, zoom
from gcnn.geometry.coordinates import snap
from gcnn.geometry.resample import require_interpolation
from gcnn.groups import Group, require_group
from gcnn.layers.memory_layout import in_layout_of
from gcnn.layers.transposed_convolution import GroupConvTranspose


class InputLifting(nn.Module):
    """`out(h) = h · module(h⁻¹ · f)`: lift an image by moving it, not the filters.

    For g in the group `(h ↦ h · module(h⁻¹ g · f)) = g · out`, whatever the module computes. It
    needs no basis, and the module is run once for every element. Scale channels (Kanazawa, Sharma
    and Jacobs, "Locally scale-invariant convolutional neural networks", 2014; Jansson and
    Lindeberg, "Scale-invariant scale-channel networks", JMIV 2022) are this for a window of
    scales and a `GroupPool` after it.

    - Turns by 90°, mirrors and swaps of axes are exact, and share one call of the module.
    - Scalings change the grid with the image, so that nothing is cut off (`geometry.zoom`); what
      the module gives is brought back to the grid that it has for the image itself.
    - Other rotations are interpolated on a grid of the same size. As under `Group.act`, the
      corners are lost: a grid with room for them would show the module more background at 45°
      than at 0°, which a mean over the image would tell, and could not share a call.
    - A shear or stretch is a scaling by `|det|^(1/d)`, and the rest is interpolated in the same
      way.

    Batch normalisation inside sees the moved images of one call as one batch.

    >>> from gcnn import groups
    >>> module = nn.Sequential(nn.Conv2d(3, 8, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2))
    >>> lifting = InputLifting(groups.ScaleTranslation([1.0, 0.7, 0.5]), module)
    >>> lifting(torch.randn(2, 3, 32, 32)).shape
    torch.Size([2, 8, 3, 16, 16])

    Shapes:
        `(batch, channels, *space)` to `(batch, out, |H|, *out space)` if the module gives
        `(batch, out, *out space)`; to `(batch, out, |H|)` if it gives vectors `(batch, out)`.

    Args:
        group: what moves; the identity must be among its elements.
        module: from images of several sizes to images, all axes alike, or to vectors.
        size_multiple: the sizes of scaled images differ from that of the image by a multiple of
            this, so that strides meet them alike. `module.size_multiple`, or else the product of
            the strides of its parts, unless given.
        interpolation: "nearest", "linear", "cubic" or "quintic" (B-splines), where the grid is
            not met.

    Raises:
        TypeError: the module is not one.
        ValueError: a group without the identity, an unknown interpolation; on the forward pass,
            no image, or an output of the module that is neither an image nor a vector or whose
            axes are not treated alike.
    """

    def __init__(
        self,
        group: Group,
        module: nn.Module,
        size_multiple: int | None = None,
        interpolation: str = "cubic",
    ) -> None:
        super().__init__()
        if not isinstance(module, nn.Module):
            raise TypeError(f"module must be a torch.nn.Module, got {type(module).__name__}")
        require_interpolation(interpolation)
        self.settle(group)
        self.module = module
        self.size_multiple = _multiple(module) if size_multiple is None else size_multiple
        self.interpolation = interpolation

    def settle(self, group: Group) -> None:
        """Take another group; the module serves any that has the identity."""
        if require_group(group).identity < 0:
            raise ValueError(
                f"{group} lacks the identity, whose output says on which grid the others go; add it"
            )
        self.group = group
        scales = scales_of(group.matrices)
        self._scales = snap(scales).tolist()
        self._turns = [snap(m / s) for m, s in zip(group.matrices, self._scales, strict=True)]

    def forward(self, image: Tensor) -> Tensor:
        if image.ndim != self.group.dim + 2:
            raise ValueError(
                f"InputLifting takes an image (batch, channels, *{self.group.dim} of space), got "
                f"shape {tuple(image.shape)}"
            )
        outputs = self._outputs([self._moved_back(image, h) for h in range(self.group.order)])
        own = outputs[self.group.identity]
        if own.ndim == 2:
            return torch.stack(outputs, dim=2)
        moved = [self._moved(y, h, own.shape[2:]) for h, y in enumerate(outputs)]
        return in_layout_of(image, torch.stack(moved, dim=2), self.group.dim)

    def _moved_back(self, image: Tensor, element: int) -> Tensor:
        """`h⁻¹ · f`, on a grid that is scaled with it."""
        scale, turn = self._scales[element], self._turns[element]
        turned = transform(image, torch.linalg.inv(turn), self.interpolation)
        step = max(2, self.size_multiple)
        size = [scaled_size(n, 1 / scale, step) for n in turned.shape[2:]]
        return zoom(turned, 1 / scale, self.group.dim, self.interpolation, size)

    def _outputs(self, images: Sequence[Tensor]) -> list[Tensor]:
        """What the module gives for each image; those of one shape in one call."""
        outputs: dict[int, Tensor] = {}
        for shape in dict.fromkeys(image.shape for image in images):
            alike = [h for h, image in enumerate(images) if image.shape == shape]
            together = self.module(torch.cat([images[h] for h in alike]))
            expected = len(alike) * shape[0]
            if together.ndim not in (2, self.group.dim + 2) or len(together) != expected:
                raise ValueError(
                    f"the module must give images ({expected}, channels, *{self.group.dim} of "
                    f"space) or vectors ({expected}, channels), got shape {tuple(together.shape)}"
                )
            outputs.update(zip(alike, together.chunk(len(alike)), strict=True))
        return [outputs[h] for h in range(len(images))]

    def _moved(self, features: Tensor, element: int, size: Sequence[int]) -> Tensor:
        """`h · y`, on the grid that the module gives for the image itself."""
        scale = self._scales[element]
        turned = transform(features, self._turns[element], self.interpolation)
        if scale == 1 and turned.shape[2:] != size:
            raise ValueError(
                f"element {element} of {self.group} takes the output to the size "
                f"{tuple(turned.shape[2:])}, but that of the image itself has {tuple(size)}: the "
                "module does not treat the axes of space alike"
            )
        return zoom(turned, scale, self.group.dim, self.interpolation, size)

    def extra_repr(self) -> str:
        return f"{self.group}, size_multiple={self.size_multiple}"


def _multiple(module: nn.Module) -> int:
    """By how much a module divides sizes at most, from the strides of its parts."""
    known = getattr(module, "size_multiple", None)
    if known is not None:
        return int(known)
    if isinstance(module, (_ConvTransposeNd, GroupConvTranspose)):
        return 1
    stride = getattr(module, "stride", 1)
    largest = max(stride) if isinstance(stride, tuple) else stride
    return largest * math.prod(_multiple(part) for part in module.children())
