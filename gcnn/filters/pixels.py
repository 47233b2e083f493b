"""The pixels of the kernel themselves as a basis, moved by a sparse interpolation operator."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from gcnn.filters.basis import Basis, window_size
from gcnn.geometry import axis_matrix, grid_points, scales_of
from gcnn.geometry.coordinates import centred_indices

_LARGEST_TABLE = 2**32  # bytes


@dataclass(frozen=True)
class Pixels(Basis):
    """Every pixel of the kernel is a function: K = kernel_size ** d.

    Matrices that map the grid onto itself permute the pixels, exactly. All others interpolate
    linearly between them (bilinearly in 2D), which blurs the filter a little. Serves any group in
    any dimension.

    >>> from gcnn.geometry import rotation
    >>> basis = Pixels().sample(torch.stack([rotation(0), rotation(90)]), kernel_size=3)
    >>> torch.equal(basis[:, 1], torch.rot90(basis[:, 0], 1, (-2, -1)))
    True

    Args:
        disc: keep only the pixels whose centres lie inside the disc (ball) of radius
            `(kernel_size - 1) / 2`: hardly anything of them leaves the kernel, at any angle. The
            default keeps the corners: parts of them leave the kernel at 45°, but a 3×3 kernel
            would lose 4 of its 9 weights.

    Raises:
        ValueError: when sampled, a kernel whose moved pixels take more than 4 GiB.
    """

    disc: bool = False

    def move(self, matrices: Tensor, kernel_size: int) -> Tensor:
        order, dim = matrices.shape[:2]
        windows = [window_size(scale, kernel_size) for scale in scales_of(matrices).tolist()]
        largest = max(windows)
        _require_memory(order, dim, kernel_size, largest)
        functions = torch.zeros(kernel_size**dim, order, *(largest,) * dim, dtype=torch.float64)
        for element, (matrix, window) in enumerate(zip(matrices, windows, strict=True)):
            moved = self.operator(matrix, kernel_size, window).to_dense().T
            outside = (largest - window) // 2
            moved = torch.unflatten(moved, -1, (window,) * dim)
            functions[:, element] = F.pad(moved, (outside, outside) * dim)
        if self.disc:
            radius = grid_points((kernel_size,) * dim).norm(dim=-1)
            functions = functions[(radius <= (kernel_size - 1) / 2).flatten()]
        return functions

    def operator(self, matrix: Tensor, kernel_size: int, window: int | None = None) -> Tensor:
        """The sparse operator that moves a flattened filter by `matrix`.

        Args:
            matrix: `(d, d)`.
            kernel_size: edge of the filter.
            window: edge of the moved filter about the same centre, `kernel_size` unless given.

        Returns:
            `(window ** d, kernel_size ** d)` sparse float64; a permutation wherever the matrix
            maps the grid onto itself, else at most `2 ** d` entries a row, divided by
            `|det matrix|`.
        """
        dim, window = matrix.shape[-1], window or kernel_size
        pixels = centred_indices((window,) * dim).flatten(0, -2)
        places = pixels @ torch.linalg.inv(axis_matrix(matrix)).T + (kernel_size - 1) / 2
        around = torch.cartesian_prod(*(torch.arange(2),) * dim).view(-1, dim)
        corners = places.floor().long()[:, None] + around
        weights = (1 - (places[:, None] - corners).abs()).prod(dim=-1)
        weights = weights / torch.linalg.det(matrix).abs()
        # What comes from outside the kernel is zero.
        used = ((corners >= 0) & (corners < kernel_size)).all(dim=-1) & (weights > 0)
        target, corner = used.nonzero(as_tuple=True)
        strides = torch.tensor([kernel_size**axis for axis in reversed(range(dim))])
        source = (corners[target, corner] * strides).sum(dim=-1)
        entries = torch.stack([target, source]), weights[target, corner]
        size = (window**dim, kernel_size**dim)
        return torch.sparse_coo_tensor(*entries, size, check_invariants=True).coalesce()


def _require_memory(order: int, dim: int, kernel_size: int, window: int) -> None:
    """Refuse a kernel whose table of moved pixels could not be held."""
    needed = order * (kernel_size * window) ** dim * torch.float64.itemsize
    if needed > _LARGEST_TABLE:
        fits = int((_LARGEST_TABLE / torch.float64.itemsize / order) ** (1 / (2 * dim)))
        raise ValueError(
            f"kernel_size {kernel_size} in {dim}D makes {kernel_size**dim} pixels, each of which "
            f"moved by {order} elements is a function of as many: {needed / 2**30:,.1f} GiB, more "
            f"than the {_LARGEST_TABLE / 2**30:g} allowed; use at most {fits}, or a basis of fewer "
            "functions, such as a steerable one"
        )
