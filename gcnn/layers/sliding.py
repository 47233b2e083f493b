"""How filters slide over a grid: forwards, or as the adjoint of that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from gcnn.kernels.window import Window
from gcnn.layers.depthwise import CONVOLUTIONS, depthwise
from gcnn.layers.sampling_grid import require_centred

_TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


@dataclass(frozen=True)
class Correlation(Window):
    """The ordinary convolution of PyTorch."""

    def weight_channels(self, in_channels: int, out_channels: int, groups: int) -> tuple[int, int]:
        """The leading axes of the weight."""
        return out_channels, in_channels // groups

    def reached(self) -> float:
        """The share of the taps of a filter that a pixel of the output gets something from."""
        return 1.0

    def require_grid(self, size: Sequence[int]) -> None:
        """Refuse an input whose output would not be centred on it, or that is not padded once."""
        require_centred(size, self.size, self.stride, self.padding, self.dilation)
        most = {"reflect": min(size) - 1, "circular": min(size)}.get(self.padding_mode)
        if most is not None and self.padding > most:
            raise ValueError(
                f"padding_mode={self.padding_mode!r} can continue an input of size {tuple(size)} "
                f"by {most} pixels, and windows of {self.size} pixels need {self.padding}; use a "
                'larger input, smaller scales or kernels, or padding_mode="zeros" or "replicate"'
            )

    def with_filters(self, x: Tensor, filters: Tensor, bias: Tensor | None, groups: int) -> Tensor:
        """Slide dense filters over `(batch, channels, *space)`."""
        x, padding = self.padded(x)
        if groups > 1 and bias is None and self.size == self.stride == 1 and not padding:
            return _pointwise(x, filters, groups)
        every_pixel = self.stride == self.dilation == 1
        if groups == x.shape[1] == len(filters) and bias is None and every_pixel:
            y = depthwise(x, filters, padding)
            if y is not None:
                return y
        convolution = CONVOLUTIONS[self.dim]
        return convolution(x, filters, bias, self.stride, padding, self.dilation, groups)


@dataclass(frozen=True)
class Adjoint(Correlation):
    """The adjoint of the `Correlation` with the same settings, onto a finer grid."""

    transposed = True

    def __post_init__(self) -> None:
        if self.padding_mode != "zeros":
            raise ValueError(
                f'a transposed convolution only knows padding_mode="zeros", got '
                f"{self.padding_mode!r}"
            )

    def weight_channels(self, in_channels: int, out_channels: int, groups: int) -> tuple[int, int]:
        return in_channels, out_channels // groups

    def reached(self) -> float:
        return float(self.stride) ** -self.dim

    def require_grid(self, size: Sequence[int]) -> None:
        if any(self.input_size(n) < 1 for n in size):
            raise ValueError(
                f"input of size {tuple(size)} is too small: padding {self.padding} leaves nothing "
                f"of windows of {self.size} pixels at stride {self.stride}"
            )

    def with_filters(self, x: Tensor, filters: Tensor, bias: Tensor | None, groups: int) -> Tensor:
        return _TRANSPOSED[self.dim](
            x, filters, bias, self.stride, self.padding, 0, groups, self.dilation
        )


def _pointwise(x: Tensor, filters: Tensor, blocks: int) -> Tensor:
    """A 1×1 convolution in groups of channels: as a product several times as fast on a CPU."""
    channels = torch.unflatten(x.flatten(2), 1, (blocks, -1))
    matrices = torch.unflatten(filters.flatten(1), 0, (blocks, -1))
    return torch.unflatten((matrices @ channels).flatten(1, 2), 2, x.shape[2:])
