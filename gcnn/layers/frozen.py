"""Networks for deployment: every equivariant convolution as the ordinary one it amounts to."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from gcnn.layers.convolution import Convolution
from gcnn.layers.sampling_grid import require_centred

_CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


class FrozenConv(nn.Module):
    """A `torch.nn.Conv2d` with the expanded filters of a lifting or group convolution.

    Shapes:
        those of the convolution it replaces.

    Args:
        convolution: the layer to freeze; it is not changed.
    """

    def __init__(self, convolution: Convolution) -> None:
        super().__init__()
        filters, bias = convolution.filters().detach(), convolution.expanded_bias()
        self.order = convolution.group.order
        self.convolution = _CONVOLUTIONS[convolution.group.dim](
            filters.shape[1] * convolution.groups,
            filters.shape[0],
            convolution.kernel_size,
            convolution.stride,
            convolution.padding,
            convolution.dilation,
            convolution.groups,
            bias is not None,
            convolution.padding_mode,  # type: ignore[arg-type]
            device="meta",
        )
        self.convolution.weight = nn.Parameter(filters.clone(), requires_grad=False)
        if bias is not None:
            self.convolution.bias = nn.Parameter(bias.detach().clone(), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        layer = self.convolution
        is_image = x.ndim == layer.weight.ndim
        plain = x if is_image else x.flatten(1, 2)
        window = layer.kernel_size[0], layer.stride[0], int(layer.padding[0]), layer.dilation[0]
        require_centred(plain.shape[2:], *window)
        fields = layer.out_channels // self.order
        return torch.unflatten(layer(plain), 1, (fields, self.order))


def freeze(network: nn.Module) -> nn.Module:
    """A copy of a network, in eval mode, that computes the same with ordinary convolutions only.

    Filters are expanded once and stored, so the copy starts without building any basis, and its
    file, unlike that of the network, holds pixels. It can be exported, quantised or loaded where
    `gcnn` does the reshaping alone; it cannot be trained on.

    Args:
        network: any module; it is not changed.

    Returns:
        A copy in which every `LiftingConv` and `GroupConv` is a `FrozenConv`.
    """
    if isinstance(network, Convolution):
        return FrozenConv(network).eval()
    frozen = copy.deepcopy(network).eval()
    for module in list(frozen.modules()):
        for name, child in module.named_children():
            if isinstance(child, Convolution):
                setattr(module, name, FrozenConv(child))
    return frozen.eval().requires_grad_(False)
