"""Up-sampling of images and feature maps by an integer factor."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from gcnn.layers.sampling_grid import positive_integer
from gcnn.layers.spatial import over_space

_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
_MODES = ("linear", "nearest")


class SpatialUpsample(nn.Module):
    """Interpolate space to a finer grid about the same centre.

    >>> import torch
    >>> SpatialUpsample(2, dim=2)(torch.randn(2, 8, 4, 16, 16)).shape
    torch.Size([2, 8, 4, 32, 32])

    Shapes:
        `(batch, channels, *space)` or `(batch, channels, |H|, *space)` to the same with space
        multiplied by `scale_factor`.

    Args:
        scale_factor: the factor, an integer.
        mode: "linear" (bilinear in 2D, trilinear in 3D) or "nearest".
        dim: how many of the last axes are space.
    """

    def __init__(self, scale_factor: int = 2, mode: str = "linear", dim: int = 2) -> None:
        super().__init__()
        self.scale_factor = positive_integer("scale_factor", scale_factor)
        if mode not in _MODES:
            raise ValueError(f"mode must be one of {_MODES}, got {mode!r}")
        self.mode = mode
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return over_space(x, self.dim, self._upsample)

    def _upsample(self, x: Tensor) -> Tensor:
        if self.mode == "nearest":
            return F.interpolate(x, scale_factor=self.scale_factor, mode="nearest")
        # Corners not aligned: the fine pixels tile the coarse ones, so both share their centre.
        mode = _LINEAR[self.dim]
        return F.interpolate(x, scale_factor=self.scale_factor, mode=mode, align_corners=False)

    def extra_repr(self) -> str:
        return f"{self.scale_factor}, mode={self.mode!r}, dim={self.dim}"
