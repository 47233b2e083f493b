"""Networks for deployment: every equivariant convolution as the ordinary one it amounts to."""

from __future__ import annotations

import copy

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from gcnn.layers.convolution import Convolution
from gcnn.layers.sampling_grid import require_centred
from gcnn.layers.transposed_convolution import GroupConvTranspose

_CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


class FrozenConv(nn.Module):
    """The ordinary convolution, with the expanded filters of a lifting or group convolution.

    Shapes:
        those of the convolution it replaces.

    Args:
        convolution: the layer to freeze; it is not changed.
    """

    bias: Tensor | None

    def __init__(self, convolution: Convolution) -> None:
        super().__init__()
        self.arrangement = convolution.arrangement
        self.convolution, self.bias = _ordinary(convolution)

    def forward(self, x: Tensor) -> Tensor:
        layer = self.convolution
        plain = self.arrangement.enter(x)
        if not layer.transposed:
            window = layer.kernel_size[0], layer.stride[0], int(layer.padding[0]), layer.dilation[0]
            require_centred(plain.shape[2:], *window)
        y = self.arrangement.leave(layer(plain))
        if self.bias is None:
            return y
        return y + self.bias.to(y.dtype).view(-1, *(1,) * (y.ndim - 2))


def _ordinary(convolution: Convolution) -> tuple[_ConvNd, nn.Parameter | None]:
    """A convolution of torch, and the bias that has to be added behind it."""
    filters, bias = convolution.filters().detach(), convolution.expanded_bias()
    blocks = convolution.groups * convolution.arrangement.blocks
    transposed = isinstance(convolution, GroupConvTranspose)
    ours, theirs = filters.shape[0], filters.shape[1] * blocks
    kind = (_TRANSPOSED if transposed else _CONVOLUTIONS)[convolution.group.dim]
    layer = kind(
        *((ours, theirs) if transposed else (theirs, ours)),
        convolution.kernel_size,
        convolution.stride,
        convolution.padding,
        dilation=convolution.dilation,
        groups=blocks,
        bias=bias is not None,
        padding_mode=convolution.padding_mode,  # type: ignore[arg-type]
        device="meta",
    )
    layer.weight = nn.Parameter(filters.clone(), requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach().clone(), requires_grad=False)
    if bias is not None or convolution.bias is None:
        return layer, None
    return layer, nn.Parameter(convolution.bias.detach().clone(), requires_grad=False)


def freeze(network: nn.Module) -> nn.Module:
    """A copy of a network, in eval mode, that computes the same with ordinary convolutions only.

    Filters are expanded once and stored, so the copy starts without building any basis, and its
    file, unlike that of the network, holds pixels. It can be exported, quantised or loaded where
    `gcnn` does the reshaping alone; it cannot be trained on.

    Args:
        network: any module; it is not changed.

    Returns:
        A copy in which every lifting or group convolution is a `FrozenConv`.
    """
    if isinstance(network, Convolution):
        return FrozenConv(network).eval()
    frozen = copy.deepcopy(network).eval()
    for module in list(frozen.modules()):
        for name, child in module.named_children():
            if isinstance(child, Convolution):
                setattr(module, name, FrozenConv(child))
    return frozen.eval().requires_grad_(False)
