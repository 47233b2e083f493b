"""Convolutions whose filters are products of 1D functions, one axis after the other.

No dense filter is ever built. (`SeparableGroupConv` is something else: space, then the group.)
"""

from gcnn.kernels.axis_by_axis.choice import Bank
from gcnn.kernels.axis_by_axis.evaluation import AxisByAxis

__all__ = ["AxisByAxis", "Bank"]
