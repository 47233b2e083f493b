"""Convolutions with products of 1D functions, done axis by axis: no dense filter is ever built."""

from gcnn.kernels.separable.evaluation import AxisByAxis, differentiable_by_axes
from gcnn.kernels.separable.plan import Window

__all__ = ["AxisByAxis", "Window", "differentiable_by_axes"]
