"""Convolutions whose filters are products of 1D functions, one axis after the other.

No dense filter is ever built. (`SeparableGroupConv` is something else: space, then the group.)
"""

from gcnn.kernels.axis_by_axis.evaluation import AxisByAxis, differentiable_by_axes
from gcnn.kernels.axis_by_axis.plan import Window

__all__ = ["AxisByAxis", "Window", "differentiable_by_axes"]
