"""The pixels of the kernel themselves as a basis, moved by a sparse interpolation operator."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gcnn.filters.basis import Basis
from gcnn.geometry import grid_points, transform


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
    """

    disc: bool = False

    def move(self, matrices: Tensor, kernel_size: int) -> Tensor:
        moved = torch.stack(
            [self.operator(matrix, kernel_size).to_dense() for matrix in matrices], dim=1
        )
        dim = matrices.shape[-1]
        functions = torch.unflatten(moved.permute(2, 1, 0), -1, (kernel_size,) * dim)
        if self.disc:
            radius = grid_points((kernel_size,) * dim).norm(dim=-1)
            functions = functions[(radius <= (kernel_size - 1) / 2).flatten()]
        return functions.contiguous()

    def operator(self, matrix: Tensor, kernel_size: int) -> Tensor:
        """The sparse operator that moves a flattened filter by `matrix`.

        Returns:
            `(kernel_size ** d, kernel_size ** d)` sparse float64; a permutation wherever the
            matrix maps the grid onto itself, else at most `2 ** d` entries a row, divided by
            `|det matrix|`.
        """
        dim = matrix.shape[-1]
        count = kernel_size**dim
        deltas = torch.eye(count, dtype=torch.float64).view(-1, *(kernel_size,) * dim)
        moved = transform(deltas, matrix, "linear").flatten(1)
        operator: Tensor = moved.T / torch.linalg.det(matrix).abs()
        return operator.to_sparse()
