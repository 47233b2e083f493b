"""The residual unit."""

from __future__ import annotations

from torch import Tensor, nn


class ResidualUnit(nn.Module):
    """Layers with a way around them: `after(body(x) + shortcut(x))`.

    He et al., "Deep residual learning for image recognition", CVPR 2016. A sum of feature maps
    moves as they do, so the unit is equivariant if its parts are.

    >>> import torch
    >>> unit = ResidualUnit(nn.Conv2d(8, 8, 3, padding=1), nn.Identity(), nn.ReLU())
    >>> unit(torch.randn(2, 8, 16, 16)).shape
    torch.Size([2, 8, 16, 16])

    Shapes:
        those of its parts; body and shortcut give the same.

    Args:
        body: convolutions, norms and nonlinearities.
        shortcut: the identity, or a 1×1 convolution where the number of channels changes.
        after: what follows the sum, a nonlinearity say.
    """

    def __init__(self, body: nn.Module, shortcut: nn.Module, after: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut
        self.after = after

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.after(self.body(x) + self.shortcut(x))
        return y
