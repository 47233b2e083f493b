"""Convolutions of a layer, axis by axis where that is cheaper."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from gcnn.filters import Factors
from gcnn.kernels.separable.cost import Problem, most_maps
from gcnn.kernels.separable.functions import correlate, transpose
from gcnn.kernels.separable.plan import Plan, Window, make_plan, trees

# Numbers in the maps of a slab: few enough to stay in a processor's cache.
_SLAB = 2**20
_REMEMBERED = 16


def differentiable_by_axes(x: Tensor, weight: Tensor) -> bool:
    """Whether these tensors can be convolved axis by axis.

    Half precision would round the operators of each axis in turn, so it takes dense filters,
    and so do compilers and function transforms, which want one operation they know.
    """
    special = (
        torch.compiler.is_compiling()
        or torch._C._get_tracing_state() is not None
        or torch._C._are_functorch_transforms_active()
        or forward_ad._current_level >= 0
    )
    full = x.dtype == weight.dtype and x.dtype in (torch.float32, torch.float64)
    device = x.device.type
    mixed = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
    return full and not special and not mixed


class AxisByAxis:
    """The convolution with products of 1D functions, without their dense filters.

    Every axis is a product with banded matrices, one for each degree. Channels are mixed between
    two axes, where that is cheapest. Nothing is kept for the gradient but the input.

    Args:
        factors: of the basis, for all elements.
        sources: for every computed element, the elements it sees; -1 where there is none.
        outputs: which elements are computed.
        window: how filters slide.
    """

    def __init__(
        self,
        factors: Factors,
        sources: tuple[tuple[int, ...], ...],
        outputs: tuple[int, ...],
        window: Window,
    ) -> None:
        self.factors = factors
        self.sources = sources
        self.outputs = outputs
        self.window = window
        self._plans: dict[Any, Plan | None] = {}

    def plan(self, like: Tensor, size: tuple[int, ...], weight: Tensor) -> Plan | None:
        """The cheapest plan, or None if dense filters are cheaper.

        Args:
            like: a tensor of the dtype, device and batch size.
            size: of the space on the side of the input.
            weight: `(out, in, M, K)`.
        """
        key = (like.shape[0], size, like.dtype, like.device, weight.shape)
        if key not in self._plans:
            if len(self._plans) >= _REMEMBERED:
                self._plans.clear()
            with torch.inference_mode(False), torch.no_grad():
                self._plans[key] = self._cheapest(like, size, weight)
        return self._plans[key]

    def correlate(self, x: Tensor, weight: Tensor, plan: Plan) -> Tensor:
        """`(batch, in, |H|, *space)` to `(batch, out, |H'|, *space)`."""
        mixing = plan.mixing(weight, self.factors.degrees)
        return correlate(x, mixing, plan)

    def transpose(self, y: Tensor, weight: Tensor, plan: Plan) -> Tensor:
        """The adjoint, `(batch, out, |H'|, *space)` to `(batch, in, |H|, *space)`."""
        mixing = plan.mixing(weight, self.factors.degrees)
        return transpose(y, mixing, plan, self.factors.tables.shape[1])

    def _cheapest(self, like: Tensor, size: tuple[int, ...], weight: Tensor) -> Plan | None:
        out_channels, in_channels, relatives, _ = weight.shape
        kernel_size = self.factors.tables.shape[-1]
        problem = Problem(
            like.shape[0],
            in_channels,
            out_channels,
            len(self.outputs),
            relatives,
            size,
            tuple(self.window.output_size(n, kernel_size) for n in size),
            self.window.stride,
            self.window.dilation * (kernel_size - 1) + 1,
        )
        choices = [trees(self.factors.degrees, expanded) for expanded in range(len(size))]
        slabs = [self._thickness(problem, *choice, like) for choice in choices]
        costs = [
            problem.by_axes(*choice, slab) for choice, slab in zip(choices, slabs, strict=True)
        ]
        best = costs.index(min(costs))
        if problem.dense(kernel_size) < costs[best]:
            return None
        return make_plan(
            self.factors, self.window, self.sources, self.outputs, size, best, slabs[best], like
        )

    def _thickness(self, problem: Problem, before: Any, behind: Any, like: Tensor) -> int:
        if like.device.type != "cpu":
            return problem.size[0]
        maps = most_maps(before, behind, problem.columns, problem.out_channels)
        slice_ = problem.batch * maps * math.prod(problem.size[1:])
        count = max(1, math.ceil(problem.size[0] * slice_ / _SLAB))
        return math.ceil(problem.size[0] / count)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_plans": {}}
