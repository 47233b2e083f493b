"""Where a pixel is, and what a matrix means.

A spatial tensor is `(..., row, column)` in 2D and `(..., depth, row, column)` in 3D. Matrices act
on Cartesian coordinates `(x, y[, z])` in units of pixels about the centre of the grid: x points
right (along the columns), **y points up** (against the rows), z runs along the depth axis. A
rotation by a positive angle is therefore counter-clockwise as the image is displayed, and +90° is
`torch.rot90(image, 1, (-2, -1))`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from gcnn.geometry.tensor_construction import ordinary_tensors

_SNAP = 1e-12


@ordinary_tensors()
def rotation(degrees: float) -> Tensor:
    """The counter-clockwise rotation of the plane by `degrees`, `(2, 2)` in float64.

    Multiples of 90° come out as integers, so that whatever is built on them is exact.

    >>> rotation(90).tolist()
    [[0.0, -1.0], [1.0, 0.0]]
    """
    angle = math.radians(degrees)
    cosine, sine = math.cos(angle), math.sin(angle)
    return snap(torch.tensor([[cosine, -sine], [sine, cosine]], dtype=torch.float64))


@ordinary_tensors()
def mirror(degrees: float = 90.0) -> Tensor:
    """The reflection of the plane in the line through the centre at `degrees` to the x axis.

    The default mirrors left and right: `image.flip(-1)`. Returns `(2, 2)` in float64.

    >>> mirror().tolist()
    [[-1.0, 0.0], [0.0, 1.0]]
    """
    angle = math.radians(2 * degrees)
    cosine, sine = math.cos(angle), math.sin(angle)
    return snap(torch.tensor([[cosine, sine], [sine, -cosine]], dtype=torch.float64))


def snap(matrix: Tensor) -> Tensor:
    """`matrix` with entries that are integers up to rounding error (1e-12) made integers."""
    nearest = matrix.round()
    return torch.where((matrix - nearest).abs() < _SNAP, nearest, matrix) + 0.0


def _cartesian_from_axes(dim: int) -> Tensor:
    """The signed permutation `(dim, dim)` that takes axis coordinates to `(x, y[, z])`."""
    signs = torch.ones(dim, dtype=torch.float64)
    signs[1:2] = -1
    return signs.diag().flip(1)


def scales_of(matrices: Tensor) -> Tensor:
    """By how much matrices `(..., d, d)` enlarge: `|det h|^(1/d)`, `(...)`.

    >>> scales_of(torch.diag(torch.tensor([2.0, 8.0])))
    tensor(4.)
    """
    determinants: Tensor = torch.linalg.det(matrices)
    return determinants.abs() ** (1 / matrices.shape[-1])


@ordinary_tensors()
def axis_matrix(matrix: Tensor) -> Tensor:
    """A Cartesian matrix `(d, d)` written in the coordinates of the tensor axes, float64.

    >>> axis_matrix(torch.diag(torch.tensor([2.0, 1.0]))).tolist()  # twice as wide
    [[1.0, 0.0], [0.0, 2.0]]
    """
    matrix = torch.as_tensor(matrix, dtype=torch.float64)
    change = _cartesian_from_axes(matrix.shape[-1])
    return snap(change.T @ matrix @ change)


@ordinary_tensors()
def grid_points(size: Sequence[int]) -> Tensor:
    """Cartesian coordinates of the pixel centres of a grid, about its centre.

    >>> grid_points((2, 3))[0].tolist()  # (x, y) along the first row
    [[-1.0, 0.5], [0.0, 0.5], [1.0, 0.5]]

    Args:
        size: the spatial shape, `(rows, columns)` or `(depth, rows, columns)`.

    Returns:
        `(*size, d)` float64, in pixels, last axis `(x, y[, z])`.
    """
    return centred_indices(size) @ _cartesian_from_axes(len(size)).T


def centred_indices(size: Sequence[int]) -> Tensor:
    """The indices of the pixels of a grid, less those of its centre, `(*size, d)` float64."""
    axes = [torch.arange(n, dtype=torch.float64) - (n - 1) / 2 for n in size]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)


@ordinary_tensors()
def as_grid_symmetry(matrix: Tensor) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """How to move an image by `matrix` without interpolation, or None if that is impossible.

    >>> as_grid_symmetry(rotation(90)), as_grid_symmetry(rotation(45))
    (((1,), (1, 0)), None)

    Args:
        matrix: a Cartesian matrix `(d, d)`.

    Returns:
        `(flips, order)`: flip the input axes `flips`, then permute the axes into `order` (both
        counted from the first spatial axis); None unless the matrix permutes the axes up to sign.
    """
    inverse = axis_matrix(torch.linalg.inv(torch.as_tensor(matrix, dtype=torch.float64)))
    is_permutation = (inverse.abs().sum(0) == 1).all() and (inverse.abs().sum(1) == 1).all()
    if not (is_permutation and (inverse.abs() == inverse.abs().round()).all()):
        return None
    # Row j says which output axis runs along input axis j, and in which direction.
    output_axis = inverse.abs().argmax(dim=1).tolist()
    flips = tuple(j for j, i in enumerate(output_axis) if inverse[j, i] < 0)
    order = tuple(output_axis.index(i) for i in range(len(output_axis)))
    return flips, order
