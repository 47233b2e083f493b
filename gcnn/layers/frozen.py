"""Networks for deployment: every equivariant convolution as the ordinary one it amounts to."""

from __future__ import annotations

import copy

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from gcnn.layers.convolution import Convolution

_CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


class FrozenConv(nn.Module):
    """The ordinary convolution, with the expanded filters of an equivariant one.

    Shapes:
        those of the convolution it replaces.

    Args:
        convolution: the layer to freeze; it is not changed.
    """

    bias: Tensor | None

    def __init__(self, convolution: Convolution) -> None:
        super().__init__()
        self.arrangement = convolution.kernel.arrangement
        self.sliding = convolution.sliding
        self.convolution = _ordinary(convolution)
        # Not fused where an element has its own group of channels, but added to the feature map.
        bias = None if self.convolution.bias is not None else convolution.bias
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        features = x if x.ndim == self.sliding.dim + 3 else x.unsqueeze(2)
        self.sliding.require_grid(x.shape[-self.sliding.dim :])
        y = self.arrangement.leave(self.convolution(self.arrangement.enter(features)))
        if self.bias is None:
            return y
        return y + self.bias.to(y.dtype).view(-1, *(1,) * (y.ndim - 2))


def _ordinary(convolution: Convolution) -> _ConvNd:
    """A convolution of torch, with the bias if it can be fused."""
    filters, bias = convolution.filters().detach(), convolution.expanded_bias()
    sliding, blocks = convolution.sliding, convolution.kernel.arrangement.blocks
    groups = convolution.groups * blocks
    channels = (filters.shape[0], filters.shape[1] * groups)
    kind = (_TRANSPOSED if sliding.transposed else _CONVOLUTIONS)[sliding.dim]
    layer = kind(
        *(channels if sliding.transposed else channels[::-1]),
        sliding.size,
        sliding.stride,
        sliding.padding,
        dilation=sliding.dilation,
        groups=groups,
        bias=False,
        padding_mode=sliding.padding_mode,  # type: ignore[arg-type]
        device="meta",
    )
    layer.weight = nn.Parameter(filters.clone())
    layer.bias = None if bias is None else nn.Parameter(bias.detach().clone())
    return layer


def freeze(network: nn.Module) -> nn.Module:
    """A copy of a network, in eval mode, that computes the same with ordinary convolutions only.

    Filters are expanded once and stored, so the copy starts without building any basis, and its
    file, unlike that of the network, holds pixels. It can be exported, quantised or loaded where
    `gcnn` does the reshaping alone; it cannot be trained on. Separable filters become dense ones:
    on a processor a network on scales is faster as it is.

    >>> from gcnn.groups import P4
    >>> from gcnn.layers import LiftingConv
    >>> type(freeze(LiftingConv(P4(), 1, 8, 3))).__name__
    'FrozenConv'

    Args:
        network: any module; it is not changed.

    Returns:
        A copy in which every lifting or group convolution is a `FrozenConv`.
    """
    holder = nn.ModuleList([copy.deepcopy(network)])
    for module in list(holder.modules()):
        for name, child in module.named_children():
            if isinstance(child, Convolution):
                setattr(module, name, FrozenConv(child))
    return holder[0].eval().requires_grad_(False)
