"""Up-sampling of images and feature maps by an integer factor."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from gcnn.groups import Group
from gcnn.layers.sampling_grid import positive_integer
from gcnn.layers.spatial import SpatialLayer

_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
_MODES = ("linear", "nearest")


class SpatialUpsample(SpatialLayer):
    """Interpolate space to a finer grid about the same centre.

    >>> import torch
    >>> from gcnn.groups import P4
    >>> SpatialUpsample(2, group=P4())(torch.zeros(1, 3, 4, 8, 8)).shape
    torch.Size([1, 3, 4, 16, 16])

    Shapes:
        `(batch, channels, *space)` or `(batch, channels, |H|, *space)` to the same with space
        multiplied by `scale_factor`.

    Args:
        scale_factor: the factor, an integer.
        mode: "linear" (bilinear in 2D, trilinear in 3D) or "nearest".
        dim, group: which axes are space, as in `SpatialMaxPool`.
    """

    def __init__(
        self,
        scale_factor: int = 2,
        mode: str = "linear",
        dim: int | None = None,
        *,
        group: Group | None = None,
    ) -> None:
        super().__init__(dim, group)
        self.scale_factor = positive_integer("scale_factor", scale_factor)
        if mode not in _MODES:
            raise ValueError(f"mode must be one of {_MODES}, got {mode!r}")
        self.mode = mode

    def _over_space(self, x: Tensor, dim: int) -> Tensor:
        if self.mode == "nearest":
            return F.interpolate(x, scale_factor=self.scale_factor, mode="nearest")
        # Corners not aligned: the fine pixels tile the coarse ones, so both share their centre.
        mode = _LINEAR[dim]
        return F.interpolate(x, scale_factor=self.scale_factor, mode=mode, align_corners=False)

    def extra_repr(self) -> str:
        return f"{self.scale_factor}, mode={self.mode!r}{self._repr_of_space()}"
