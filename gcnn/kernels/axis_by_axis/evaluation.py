"""Convolutions of a layer, axis by axis where that is cheaper."""

from __future__ import annotations

import torch
from torch import Tensor

from gcnn.geometry import ordinary_tensors
from gcnn.kernels.axis_by_axis.choice import CACHED, Bank, Problem
from gcnn.kernels.axis_by_axis.functions import convolve
from gcnn.kernels.axis_by_axis.plan import Plan, make_plan
from gcnn.kernels.own_gradient import autocast_dtype, is_looked_into
from gcnn.kernels.table import Remembered
from gcnn.kernels.window import Window

_REMEMBERED = 16


class AxisByAxis:
    """The convolution with products of 1D functions, without their dense filters.

    Every axis is a product with banded matrices, one for each degree. Channels are mixed between
    two axes, where that is cheapest. Nothing is kept for the gradient but the input. Half
    precision, and autocast, are computed in float32 and rounded at the end.

    Args:
        bank: what the filters are made of.
        window: how they slide, forwards or as the adjoint of that.
    """

    def __init__(self, bank: Bank, window: Window) -> None:
        self.bank = bank
        self.window = window
        self._plans: dict[Problem, Plan | None] = Remembered()

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor | None:
        """`(batch, in, |H|, *space)` to `(batch, out, |H'|, *space)`, or the adjoint of that.

        Compilers and function transforms need dense filters: one operation they know. So does half
        precision on accelerators, which have units for its products.

        Args:
            x: a feature map.
            weight: `(out, in, [M,] K)`, named as in the convolution for its adjoint too.
            bias: one number for every field of what is returned.

        Returns:
            None if dense filters are needed, or cheaper.
        """
        mixed = autocast_dtype(x.device.type)
        alike = mixed is not None or x.dtype == weight.dtype
        full = mixed is None and x.dtype in (torch.float32, torch.float64)
        known = full or (x.device.type in CACHED and x.is_floating_point())
        if not (alike and known) or is_looked_into():
            return None
        size = tuple(x.shape[3:])
        if self.window.transposed:
            size = tuple(map(self.window.input_size, size))
        plan = self.plan(self.problem(x, size, weight))
        if plan is None:
            return None
        mixing = plan.mixing(weight if weight.ndim == 4 else weight.unsqueeze(2))
        dtype = x.dtype if mixed is None or x.dtype == torch.float64 else mixed
        return convolve(x, int(self.window.transposed), mixing, bias, plan, dtype)

    def problem(self, like: Tensor, size: tuple[int, ...], weight: Tensor) -> Problem:
        """The convolution of an input of such a size, in a batch like this one."""
        dtype = torch.promote_types(like.dtype, torch.float32)
        out_channels, in_channels = weight.shape[:2]
        tensors = (len(like), in_channels, out_channels, size, dtype, like.device)
        return Problem(self.bank, self.window, *tensors)

    def plan(self, problem: Problem) -> Plan | None:
        """The cheapest plan, or None if dense filters are cheaper."""
        if problem not in self._plans:
            if len(self._plans) >= _REMEMBERED:
                self._plans.clear()
            with torch.no_grad(), ordinary_tensors():
                way = problem.cheapest()
                self._plans[problem] = None if way is None else make_plan(problem, way)
        return self._plans[problem]
