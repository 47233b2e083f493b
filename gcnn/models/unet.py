"""The U-Net, for any group and for none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from gcnn.fields import Regular
from gcnn.filters import Basis
from gcnn.groups import Group, require_group
from gcnn.layers import GroupPool
from gcnn.models.building_blocks import CONVOLUTIONS, BuildingBlocks


class UNet(nn.Module):
    """A U-Net whose output moves with its input; with `group=None`, the ordinary one.

    ```
    image ─ [lift] ─ C₀ ─────────────────────── concat ─ C₀ ─ pool over the group ─ 1×1 ─ logits
                      └ down ─ C₁ ──────── concat ─ C₁ ─ up ┘
                                └ down ─ C₂ ─ up ┘
    ```

    Every C is two times convolution → norm → nonlinearity, or a residual unit; with a group, a
    lifting unit comes before. Ronneberger et al., "U-Net: convolutional networks for biomedical
    image segmentation", MICCAI 2015.

    >>> from gcnn.groups import P4
    >>> network = UNet(3, 1, P4(), channels=(4, 8, 16))
    >>> network(torch.randn(2, 3, 32, 32)).shape, network.size_multiple
    (torch.Size([2, 1, 32, 32]), 4)

    Shapes:
        `(batch, in_channels, *space)` to `(batch, out_channels, *space)`; every axis of space
        must be a multiple of `size_multiple`.

    Args:
        in_channels: channels of the image.
        out_channels: channels of the logits.
        group: what moves, or None.
        channels: fields at every level, from fine to coarse; on a group, a field has |H| channels.
        dim: dimension of space, 2 unless the group says otherwise.
        kernel_size: of the convolutions, odd. Those that halve or double the size have one more,
            because at stride 2 an odd kernel would shift the grid, or on a group twice as much, to
            be as wide on the coarser grid as the others are on theirs.
        pool: over the group, before the head: "max", "mean", or "select": the mean in training, and
            afterwards the logits of the elements that recognise what they see
            (`layers.Selection`), which on a window of scales, longer than that of the training
            (`layers.rewindow`), follow the size of what is seen. Put another `GroupPool` into
            `project` for other settings.
        norm: "batch", "instance" or "none".
        activation: makes a pointwise nonlinearity.
        anti_aliased: nonlinearities that make no frequency the grid cannot turn
            (`layers.AntiAliased`): more accurate between the grid's own angles, and slower.
        block: what a level does: "double", two convolutions, or "residual", two convolutions with
            a shortcut around them (`models.ResidualUnit`).
        downsampling: "max", "average", "blur" (anti-aliased), or "strided": a convolution of
            stride 2 to the width of the next level, norm and nonlinearity.
        upsampling: "linear", or "transposed": a transposed convolution of stride 2 to the width of
            the next level, norm and nonlinearity.
        dropout: the probability to drop a whole field after each convolution.
        basis: of the filters, unless the group's own.

    Raises:
        TypeError: group is none, or channels are no list.
        ValueError: settings that do not fit together; on the forward pass, a size that is not a
            multiple of `size_multiple`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        group: Group | None = None,
        channels: Sequence[int] = (16, 32, 64, 128, 256),
        dim: int | None = None,
        kernel_size: int = 3,
        pool: str = "max",
        norm: str = "batch",
        activation: Callable[[], nn.Module] = nn.ReLU,
        anti_aliased: bool = False,
        block: str = "double",
        downsampling: str = "max",
        upsampling: str = "linear",
        dropout: float = 0.0,
        basis: Basis | None = None,
    ) -> None:
        super().__init__()
        self.group = None if group is None else require_group(group)
        self.channels = _widths(channels)
        self.dim = _dimension(dim, group)
        if group is not None and not isinstance(group.field, Regular):
            raise ValueError(
                f"nonlinearities of a U-Net need one number for each element, not {group.field!r}"
            )
        if group is not None and len(group.outputs) < group.order:
            raise ValueError(
                f"{group} leaves out elements at every convolution, so that the levels of a U-Net "
                'could not be joined; use a group with outside="zero" or "replicate"'
            )
        blocks = BuildingBlocks(
            group, self.dim, kernel_size, norm, activation, anti_aliased, block, downsampling,
            upsampling, dropout, basis,
        )  # fmt: skip
        first = self.channels[0]
        self.lift = None
        if group is not None:
            self.lift = blocks.unit(blocks.lifting(in_channels, first), first)
        self.encoder, self.down = nn.ModuleList(), nn.ModuleList()
        previous = in_channels if group is None else first
        for level, width in enumerate(self.channels):
            if level:
                down, previous = blocks.downsample(previous, width)
                self.down.append(down)
            self.encoder.append(blocks.level(previous, width))
            previous = width
        self.decoder, self.up = nn.ModuleList(), nn.ModuleList()
        for width in reversed(self.channels[:-1]):
            up, previous = blocks.upsample(previous, width)
            self.up.append(up)
            self.decoder.append(blocks.level(previous + width, width))
            previous = width
        self.project = nn.Identity() if group is None else GroupPool(group, pool)
        self.head = CONVOLUTIONS[self.dim](first, out_channels, 1)

    @property
    def size_multiple(self) -> int:
        """Every axis of the input must be a multiple of this: 2 to the number of halvings."""
        return int(2 ** len(self.decoder))

    def forward(self, image: Tensor) -> Tensor:
        self._require_size(image)
        x = image if self.lift is None else self.lift(image)
        skips = []
        for level, block in enumerate(self.encoder):
            x = block(self.down[level - 1](x) if level else x)
            skips.append(x)
        skips.pop()
        for up, block in zip(self.up, self.decoder, strict=True):
            x = block(_joined(skips.pop(), up(x), self.dim))
        return self._logits(x)

    def _logits(self, x: Tensor) -> Tensor:
        pool = self.project
        logits: Tensor
        if isinstance(pool, GroupPool) and pool.selection is not None and not self.training:
            # A selection judges by what every element says: the head is applied to each of them.
            each = self.head(x.transpose(1, 2).flatten(0, 1))
            logits = pool(torch.unflatten(each, 0, (len(x), x.shape[2])).transpose(1, 2))
        else:
            logits = self.head(pool(x))
        return logits

    def _require_size(self, image: Tensor) -> None:
        if image.ndim != self.dim + 2:
            raise ValueError(
                f"expected an image (batch, channels, *{self.dim} of space), got shape "
                f"{tuple(image.shape)}"
            )
        multiple = self.size_multiple
        for size in image.shape[2:]:
            if size % multiple or size == 0:
                below = size - size % multiple
                nearest = f"{below} or {below + multiple}" if below else str(multiple)
                raise ValueError(
                    f"input of size {tuple(image.shape[2:])}: every axis must be a multiple of "
                    f"{multiple} ({len(self.decoder)} halvings), such as {nearest}"
                )


def _joined(skip: Tensor, x: Tensor, dim: int) -> Tensor:
    """The fields of both; as plain channels, which keeps channels-last tensors what they are."""
    if x.ndim == dim + 2:
        return torch.cat([skip, x], dim=1)
    plain = torch.cat([skip.flatten(1, 2), x.flatten(1, 2)], dim=1)
    return torch.unflatten(plain, 1, (-1, x.shape[2]))


def _widths(channels: Sequence[int]) -> tuple[int, ...]:
    if isinstance(channels, str) or not isinstance(channels, Iterable):
        raise TypeError(
            "channels must list the fields of every level, from fine to coarse, such as "
            f"(8, 16, 32), got {channels!r}"
        )
    widths = tuple(channels)
    if not widths or any(isinstance(c, bool) or not isinstance(c, int) or c < 1 for c in widths):
        raise ValueError(
            f"channels must be positive integers, one for each level, got {channels!r}"
        )
    return widths


def _dimension(dim: int | None, group: Group | None) -> int:
    if group is None:
        dim = 2 if dim is None else dim
        if dim not in CONVOLUTIONS:
            raise ValueError(f"dim must be one of {tuple(CONVOLUTIONS)}, got {dim!r}")
        return dim
    if dim not in (None, group.dim):
        raise ValueError(f"{group} moves {group.dim}D space, got dim={dim}")
    return group.dim
