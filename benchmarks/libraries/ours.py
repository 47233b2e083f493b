"""This library."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from benchmarks.libraries.base import Layer
from gcnn import filters, groups, layers
from gcnn.models import UNet

_GROUPS: dict[str, Callable[[int], groups.Group]] = {
    "optimal": lambda order: groups.SteerableSE2(order, filters.OptimalSteerable()),
    "harmonics": lambda order: groups.SteerableSE2(order, filters.CircularHarmonics()),
    "bilinear": lambda order: groups.SE2(order),
}


class Ours:
    """`gcnn`, whose feature maps are (B, fields, N, H, W) to begin with."""

    name = "gcnn"

    def variants(self) -> tuple[str, ...]:
        return tuple(_GROUPS)

    def stack(
        self, variant: str, order: int, kernel_size: int, depth: int, between: str
    ) -> nn.Module:
        group = _GROUPS[variant](order)
        modules: list[nn.Module] = [
            layers.LiftingConv(group, 1, 8, kernel_size, padding="same", bias=False)
        ]
        for _ in range(depth - 1):
            if between == "relu":
                modules.append(nn.ReLU())
            elif between == "antialiased":
                modules.append(layers.AntiAliased(nn.ReLU(), group=group))
            modules.append(layers.GroupConv(group, 8, 8, kernel_size, padding="same", bias=False))
        return nn.Sequential(*modules)

    def functions(self, variant: str, order: int, kernel_size: int) -> int:
        layer = layers.GroupConv(_GROUPS[variant](order), 1, 1, kernel_size)
        return layer.weight.shape[-1]

    def convolution(self, layer: Layer) -> nn.Module:
        group = groups.SteerableSE2(layer.order)
        fields = layer.fields
        convolution = layers.GroupConv(group, fields, fields, layer.kernel_size, padding="same")
        return _OnFlat(convolution, layer.order)

    def pooling(self, order: int, fields: int) -> nn.Module:
        return _OnFlat(layers.GroupPool(groups.SteerableSE2(order)), order)

    def unet(self, order: int, fields: Sequence[int]) -> nn.Module:
        group = groups.P4() if order == 4 else groups.SteerableSE2(order)
        return UNet(3, 1, group, fields)

    def segmenter(self) -> nn.Sequential:
        group = groups.P4()
        return nn.Sequential(
            layers.LiftingConv(group, 3, 4, 3, padding="same", bias=False),
            layers.GroupBatchNorm(group, 4),
            nn.ReLU(),
            layers.GroupConv(group, 4, 4, 3, padding="same", bias=False),
            layers.GroupBatchNorm(group, 4),
            nn.ReLU(),
            layers.GroupPool(group),
            nn.Conv2d(4, 1, 1),
        )

    def plain(self, segmenter: nn.Sequential) -> nn.Module:
        return layers.freeze(segmenter)


class _OnFlat(nn.Module):
    """Takes feature maps as (B, fields * N, H, W), and returns them so."""

    def __init__(self, module: nn.Module, order: int) -> None:
        super().__init__()
        self.module = module
        self.order = order

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = self.module(torch.unflatten(features, 1, (-1, self.order)))
        return result.flatten(1, -3)
