"""escnn and e2cnn, which share their interface but for the names of the groups."""

import importlib
import warnings
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from benchmarks.libraries.base import Layer, Unavailable
from benchmarks.libraries.peer_unet import PeerUNet


class Peer:
    """One of the peers, imported when asked for.

    Raises:
        Unavailable: the import fails; the message is that of the import.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        warnings.filterwarnings("ignore", module=name)
        try:
            self._groups: Any = importlib.import_module(f"{name}.gspaces")
            self._nn: Any = importlib.import_module(f"{name}.nn")
        except (
            Exception
        ) as error:  # their imports fail in many ways on unsuitable versions of numpy
            raise Unavailable(
                f"{name} cannot be imported: {type(error).__name__}: {error}"
            ) from error

    def variants(self) -> tuple[str, ...]:
        return ("default",)

    def stack(
        self, variant: str, order: int, kernel_size: int, depth: int, between: str
    ) -> nn.Module:
        if between == "antialiased":
            raise Unavailable(f"{self.name} has no anti-aliased ReLU of this form")
        field, image = self._types(order)
        inner = field(8)
        layers: list[Any] = [self._conv(image(1), inner, kernel_size, bias=False)]
        for _ in range(depth - 1):
            if between == "relu":
                layers.append(self._nn.ReLU(inner))
            layers.append(self._conv(inner, inner, kernel_size, bias=False))
        return _OnFeatures(_OnPlainTensors(self._nn, layers, image(1)), order)

    def functions(self, variant: str, order: int, kernel_size: int) -> int:
        field, _ = self._types(order)
        size: int = self._conv(field(1), field(1), kernel_size).basisexpansion.dimension()
        return size // order

    def convolution(self, layer: Layer) -> nn.Module:
        field, _ = self._types(layer.order)
        inner = field(layer.fields)
        convolution = self._conv(inner, inner, layer.kernel_size)
        return _OnPlainTensors(self._nn, [convolution], inner)

    def pooling(self, order: int, fields: int) -> nn.Module:
        field, _ = self._types(order)
        inner = field(fields)
        return _OnPlainTensors(self._nn, [self._nn.GroupPooling(inner)], inner)

    def unet(self, order: int, fields: Sequence[int]) -> nn.Module:
        regular, trivial = self._types(order)
        return PeerUNet(self._nn, self._conv, [regular(width) for width in fields], trivial(3))

    def segmenter(self) -> nn.Sequential:
        field, image = self._types(4)
        inner = field(4)
        layers: list[Any] = []
        for width in (image(3), inner):
            layers.append(self._conv(width, inner, 3, bias=False))
            layers.append(self._nn.InnerBatchNorm(inner))
            layers.append(self._nn.ReLU(inner))
        layers.append(self._nn.GroupPooling(inner))
        return nn.Sequential(_OnPlainTensors(self._nn, layers, image(3)), nn.Conv2d(4, 1, 1))

    def plain(self, segmenter: nn.Sequential) -> nn.Module:
        wrapped, head = cast("_OnPlainTensors", segmenter[0]), segmenter[1]
        return nn.Sequential(wrapped.layers.export(), head)

    def _types(self, order: int) -> tuple[Any, Any]:
        """Field types of so many regular fields, and of so many channels of an image."""
        space = (
            self._groups.rot2dOnR2(order) if self.name == "escnn" else self._groups.Rot2dOnR2(order)
        )

        def regular(fields: int) -> Any:
            return self._nn.FieldType(space, fields * [space.regular_repr])

        def trivial(channels: int) -> Any:
            return self._nn.FieldType(space, channels * [space.trivial_repr])

        return regular, trivial

    def _conv(self, source: Any, target: Any, kernel_size: int, bias: bool = True) -> Any:
        return self._nn.R2Conv(source, target, kernel_size, padding=kernel_size // 2, bias=bias)


class _OnPlainTensors(nn.Module):
    """Wraps and unwraps the tensors that the peers' modules require."""

    def __init__(self, modules: Any, layers: list[Any], field_type: Any) -> None:
        super().__init__()
        self.layers: Any = modules.SequentialModule(*layers)
        self._wrap = modules.GeometricTensor
        self._type = field_type

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = self.layers(self._wrap(features, self._type)).tensor
        return result


class _OnFeatures(nn.Module):
    """Shows the channels of regular fields as (B, fields, N, H, W)."""

    def __init__(self, module: nn.Module, order: int) -> None:
        super().__init__()
        self.module = module
        self.order = order

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.module(images)
        return torch.unflatten(features, 1, (-1, self.order))
