"""Coordinates of pixel grids, and images moved by a matrix.

The conventions of the whole library are stated, once, in `gcnn.geometry.coordinates`.
"""

from gcnn.geometry.axes import along_axis
from gcnn.geometry.coordinates import (
    as_grid_symmetry,
    axis_matrix,
    grid_points,
    mirror,
    rotation,
    scales_of,
)
from gcnn.geometry.matching import find
from gcnn.geometry.resample import INTERPOLATIONS, transform
from gcnn.geometry.tensor_construction import ordinary_tensors
from gcnn.geometry.zooming import scaled_size, zoom

__all__ = [
    "INTERPOLATIONS",
    "along_axis",
    "as_grid_symmetry",
    "axis_matrix",
    "find",
    "grid_points",
    "mirror",
    "ordinary_tensors",
    "rotation",
    "scaled_size",
    "scales_of",
    "transform",
    "zoom",
]
