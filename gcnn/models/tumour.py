"""The 3D U-Nets of the tumour study, by name."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from gcnn.groups import ScaleTranslation
from gcnn.models.unet import UNet

TUMOUR_UNETS = ("plain", "plain_parameters", "plain_width", "scale_mean", "scale_max")

_SCALES = (1.0, 0.9, 0.81, 0.729)
_CHANNELS = (4, 8, 16, 32)
# A Gaussian needs a window of three standard deviations to either side to be scaled faithfully.
_SCALE_KERNEL_SIZE, _PLAIN_KERNEL_SIZE = 7, 3
# In how many steps the widths of a network grow from none to those of another.
_STEPS = 64
_CONVOLVING = {"block": "residual", "downsampling": "strided", "upsampling": "transposed"}


def tumour_unet(
    name: str,
    in_channels: int = 4,
    out_channels: int = 1,
    channels: Sequence[int] | None = None,
    **options: Any,
) -> UNet:
    """A 3D U-Net of the tumour study.

    All have residual units, strided convolutions down and transposed convolutions up. With the
    scale networks' 4-8-16-32 fields as `channels`:

    - `scale_mean`, `scale_max`: four scales 0.9^i that do not interact, the mean or maximum over
      them before the head, and windows of 7³;
    - `plain`: ordinary, at the usual size of 16-32-64-128-256: as `plain_width`, and one more
      level of twice the width;
    - `plain_parameters`: ordinary, with as many parameters as the scale networks; the widths are
      searched;
    - `plain_width`: ordinary, with as many channels as they have fields × scales, 16-32-64-128.

    Normalisation is by batch unless asked otherwise. `norm="instance"` does without running
    statistics, which one or two volumes in a batch make noisy; but its statistics change with the
    share of a volume that is background, and so with scale, and that costs more equivariance than
    everything else in the network. A map of a single voxel has no such statistics, so with it the
    ordinary networks need more than one multiple of `size_multiple` on some axis.

    Args:
        name: one of `TUMOUR_UNETS`.
        in_channels: channels of the volume, one for each modality.
        out_channels: channels of the logits, one for each region.
        channels: other fields at the levels of the scale networks; the others follow as above.
        options: passed to `UNet`.

    Raises:
        ValueError: unknown name.

    >>> tumour_unet("plain_width", channels=(2, 3)).channels
    (8, 12)
    >>> tumour_unet("plain", channels=(2, 3)).channels
    (8, 12, 24)
    """
    if name not in TUMOUR_UNETS:
        raise ValueError(
            f"unknown network {name!r}; the tumour U-Nets are {', '.join(TUMOUR_UNETS)}"
        )
    fields = _CHANNELS if channels is None else tuple(channels)
    settings = {"norm": "batch", **_CONVOLVING, **options}

    def plain(widths: Sequence[int]) -> UNet:
        window = {"kernel_size": _PLAIN_KERNEL_SIZE, **settings}
        return UNet(in_channels, out_channels, None, widths, 3, **window)

    def scale(pool: str) -> UNet:
        window = {"kernel_size": _SCALE_KERNEL_SIZE, **settings}
        return UNet(in_channels, out_channels, group, fields, pool=pool, **window)

    group = ScaleTranslation(_SCALES, dim=3)
    wide = tuple(group.order * width for width in fields)
    match name:
        case "plain":
            return plain((*wide, *(2 * width for width in wide[-1:])))
        case "plain_width":
            return plain(wide)
        case "plain_parameters":
            with torch.device("meta"):
                wanted = _parameters(scale("mean"))
                widths = _widths_with(wanted, fields, lambda widths: _parameters(plain(widths)))
            return plain(widths)
        case _:
            return scale(name.removeprefix("scale_"))


def _widths_with(
    wanted: int, plan: Sequence[int], parameters: Callable[[Sequence[int]], int]
) -> tuple[int, ...]:
    """The widths nearly in the proportions of `plan` that give closest to `wanted` parameters."""

    def scaled(n: int) -> list[float]:
        return [width * n / _STEPS for width in plan]

    def rounded_up(n: int) -> int:
        return parameters([math.ceil(width) for width in scaled(n)])

    smallest_too_large = 1 + bisect_left(range(1, 64 * _STEPS), wanted, key=rounded_up)
    # Rounding each level up or down, as it suits, then comes within a percent.
    choices = [(max(1, int(width)), math.ceil(width)) for width in scaled(smallest_too_large)]
    return min(itertools.product(*choices), key=lambda widths: abs(parameters(widths) - wanted))


def _parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
