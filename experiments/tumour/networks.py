"""The networks of the tumour study: 3D U-Nets on a window of scales, and plain ones."""

import itertools
import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from experiments.common.networks import parameters, require_channels, require_network
from experiments.data.module import StudyData
from experiments.tumour.data import MULTIPLE
from gcnn.groups import ScaleTranslation
from gcnn.models import UNet

NETWORKS = ("plain", "plain_parameters", "plain_width", "scale_mean", "scale_max")
"""Names of the networks, the plain U-Net first."""

MOST_LEVELS = MULTIPLE.bit_length() - 1
"""Of the scale-equivariant networks: the plain one has a level more, and volumes must fit it."""

_SCALES = (1.0, 0.9, 0.81, 0.729)
_FIELDS = (4, 8, 16, 32)
# A Gaussian needs a window of three standard deviations to either side to be scaled faithfully.
_SCALE_KERNEL_SIZE, _PLAIN_KERNEL_SIZE = 7, 3
# In how many steps the widths of a network grow from none to those of another.
_STEPS = 64


def build_network(
    name: str,
    in_channels: int,
    out_channels: int,
    channels: Sequence[int] | None = None,
    **architecture: Any,
) -> UNet:
    """The 3D U-Net `name`, from volumes `(batch, in_channels, D, H, W)` to logits of the regions.

    All have residual units, strided convolutions down and transposed convolutions up. With the
    scale networks' 4-8-16-32 fields as `channels`:

    - `scale_mean`, `scale_max`: four scales 0.9^i that do not interact, the mean or maximum over
      them before the head, and windows of 7³;
    - `plain`: ordinary, at the usual size of 16-32-64-128-256: as `plain_width`, and one more
      level of twice the width;
    - `plain_parameters`: ordinary, with as many parameters as the scale networks; the widths are
      searched;
    - `plain_width`: ordinary, with as many channels as they have fields × scales, 16-32-64-128.

    Normalisation is by batch. The statistics of `norm="instance"` change with the share of a volume
    that is background, and so with scale: that costs more equivariance than everything else.
    """
    require_network(name, NETWORKS)
    fields = _FIELDS if channels is None else tuple(channels)
    group = ScaleTranslation(_SCALES, dim=3)
    convolving = {"block": "residual", "downsampling": "strided", "upsampling": "transposed"}
    unet = partial(UNet, in_channels, out_channels, **convolving)
    plain = partial(unet, None, dim=3, **{"kernel_size": _PLAIN_KERNEL_SIZE, **architecture})
    scale = partial(unet, group, fields, **{"kernel_size": _SCALE_KERNEL_SIZE, **architecture})
    wide = tuple(group.order * width for width in fields)
    match name:
        case "plain":
            return plain((*wide, *(2 * width for width in wide[-1:])))
        case "plain_width":
            return plain(wide)
        case "plain_parameters":
            with torch.device("meta"):
                wanted = parameters(scale())
                widths = _widths_with(wanted, fields, lambda widths: parameters(plain(widths)))
            return plain(widths)
        case _:
            return scale(pool=name.removeprefix("scale_"))


def _widths_with(
    wanted: int, plan: Sequence[int], size: Callable[[Sequence[int]], int]
) -> tuple[int, ...]:
    """Widths nearly in the proportions of `plan` whose `size` is closest to `wanted`."""

    def rounded_up(n: int) -> int:
        return size([math.ceil(width * n / _STEPS) for width in plan])

    smallest_too_large = 1 + bisect_left(range(1, 64 * _STEPS), wanted, key=rounded_up)
    # Rounding each level up or down, as it suits, then comes within a percent.
    exact = [width * smallest_too_large / _STEPS for width in plan]
    choices = [(max(1, int(width)), math.ceil(width)) for width in exact]
    return min(itertools.product(*choices), key=lambda widths: abs(size(widths) - wanted))


def network_arguments(options: dict[str, Any], data: StudyData) -> dict[str, Any]:
    """What `build_network` needs for a run with these options on these data."""
    arguments = {
        "name": options["network"],
        "in_channels": len(data.modalities),
        "out_channels": len(data.regions),
        "channels": options["channels"],
        "norm": options["norm"],
    }
    scale = options["network"].startswith("scale")
    return arguments | ({"kernel_size": options["window"]} if scale else {})


def check_network(name: str, channels: Sequence[int] | None) -> None:
    """Raises a `UserError` for what makes no network for the volumes of the data."""
    require_network(name, NETWORKS)
    require_channels(channels, MOST_LEVELS, "4 8 16 32")
