"""What every benchmark asks of a library: networks that take and return plain tensors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import nn


class Unavailable(Exception):
    """The library cannot be measured here; the message says why."""


@dataclass(frozen=True)
class Layer:
    """A regular -> regular convolution, by the sizes that matter to a plain one beside it."""

    order: int
    fields: int
    kernel_size: int

    @property
    def channels(self) -> int:
        """Width of the equivalent plain convolution: every field times every rotation."""
        return self.order * self.fields

    def plain(self) -> nn.Conv2d:
        """`nn.Conv2d` of the same expanded width."""
        padding = self.kernel_size // 2
        return nn.Conv2d(self.channels, self.channels, self.kernel_size, padding=padding)


class Library(Protocol):
    """One library. `order` is the number N of rotations of C_N throughout."""

    name: str

    def variants(self) -> tuple[str, ...]:
        """Names of the filter bases that can be measured."""

    def stack(
        self, variant: str, order: int, kernel_size: int, depth: int, between: str
    ) -> nn.Module:
        """Images (B, 1, H, W) -> feature maps (B, 8, N, H, W): `depth` layers without bias.

        `between` names what stands between the layers: "relu", "antialiased" or "linear" (nothing).
        """

    def functions(self, variant: str, order: int, kernel_size: int) -> int:
        """Number of basis functions per pair of fields and relative rotation."""

    def convolution(self, layer: Layer) -> nn.Module:
        """The layer on feature maps (B, fields * N, H, W), with bias, padded to the same size."""

    def pooling(self, order: int, fields: int) -> nn.Module:
        """Group max-pooling: (B, fields * N, H, W) -> (B, fields, H, W)."""

    def unet(self, order: int, fields: Sequence[int]) -> nn.Module:
        """A U-Net with kernels of 3: images (B, 3, H, W) -> logits (B, 1, H, W).

        Lifting, then two units of convolution, batch norm and ReLU at every level, max-pooling and
        bilinear interpolation between levels, the maximum over rotations, and a 1x1 head.
        """

    def segmenter(self) -> nn.Sequential:
        """A small invariant network: images (B, 3, H, W) -> logits (B, 1, H, W).

        Its last module is the 1x1 head on the pooled, plain image.
        """

    def plain(self, segmenter: nn.Sequential) -> nn.Module:
        """The same network of ordinary convolutions only, by the library's own means."""
