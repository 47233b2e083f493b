"""Convolutions of a layer, axis by axis where that is cheaper."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from gcnn.filters import Factors
from gcnn.geometry import ordinary_tensors
from gcnn.kernels.axis_by_axis.cost import Problem, most_maps
from gcnn.kernels.axis_by_axis.functions import correlate, transpose
from gcnn.kernels.axis_by_axis.plan import Plan, Window, make_plan, no_trees, trees
from gcnn.kernels.axis_by_axis.tree import Tree
from gcnn.kernels.own_gradient import is_looked_into

# Numbers in the maps of a tile: few enough to stay in a processor's cache.
_NUMBERS = 2**21
# Long tiles multiply many zeros of a band, short ones make many small products.
_THICK, _THIN, _LAST = 32, 12, 64
_MANY = 2**12
# The devices with such a cache; "meta" counts what a processor does.
_CACHED = ("cpu", "meta")
_REMEMBERED = 16


def differentiable_by_axes(x: Tensor, weight: Tensor) -> bool:
    """Whether these tensors can be convolved axis by axis.

    Compilers and function transforms get dense filters: one operation they know. So does half
    precision on accelerators, which have units for its products. A CPU computes it in float32.
    """
    device = x.device.type
    mixed = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
    full = x.dtype == weight.dtype and x.dtype in (torch.float32, torch.float64) and not mixed
    cached = device in _CACHED and (mixed or x.dtype == weight.dtype) and x.is_floating_point()
    return (full or cached) and not is_looked_into()


class AxisByAxis:
    """The convolution with products of 1D functions, without their dense filters.

    Every axis is a product with banded matrices, one for each degree. Channels are mixed between
    two axes, where that is cheapest. Nothing is kept for the gradient but the input. Half
    precision, and autocast, are computed in float32 and rounded at the end.

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
        like = like.detach().new_empty(like.shape[0], dtype=_full(like.dtype))
        key = (like.shape, size, like.dtype, like.device, weight.shape)
        if key not in self._plans:
            if len(self._plans) >= _REMEMBERED:
                self._plans.clear()
            with torch.no_grad(), ordinary_tensors():
                self._plans[key] = self._cheapest(like, size, weight)
        return self._plans[key]

    def correlate(
        self, x: Tensor, weight: Tensor, plan: Plan, bias: Tensor | None = None
    ) -> Tensor:
        """`(batch, in, |H|, *space)` to `(batch, out, |H'|, *space)`; a bias is `(out,)`."""
        mixing = plan.mixing(weight, self.factors.degrees)
        return correlate(x, mixing, bias, plan, _given_out(x))

    def transpose(
        self, y: Tensor, weight: Tensor, plan: Plan, bias: Tensor | None = None
    ) -> Tensor:
        """The adjoint, `(batch, out, |H'|, *space)` to `(batch, in, |H|, *space)`, plus a bias."""
        mixing = plan.mixing(weight, self.factors.degrees)
        return transpose(y, mixing, bias, plan, _given_out(y))

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
        if self._single_pixel() and like.device.type in _CACHED:
            return self._plan(size, *no_trees(self.factors.degrees), *_chunk(problem), like)
        choices = [trees(self.factors.degrees, expanded) for expanded in range(len(size))]
        tiles = [self._tile(problem, *choice, like) for choice in choices]
        costs = [
            problem.by_axes(*choice, *tile) for choice, tile in zip(choices, tiles, strict=True)
        ]
        best = costs.index(min(costs))
        if problem.dense(kernel_size) < costs[best]:
            return None
        return self._plan(size, *choices[best], *tiles[best], like)

    def _plan(self, size: tuple[int, ...], *chosen: Any) -> Plan:
        return make_plan(self.factors, self.window, self.sources, self.outputs, size, *chosen)

    def _single_pixel(self) -> bool:
        """Whether only channels are mixed, alike for all elements."""
        tables = self.factors.tables[:, list(self.outputs)]
        alone = tables.shape[-1] == self.window.stride == 1 and not self.window.padding
        return alone and torch.equal(tables, tables[:, :1].expand_as(tables))

    def _tile(
        self, problem: Problem, before: Tree, after: Tree, like: Tensor
    ) -> tuple[tuple[int, ...], int]:
        """The size of tiles, and the samples that are computed at once."""
        size = problem.mixed_size(before)
        if like.device.type not in _CACHED:
            return size, max(1, problem.batch)
        maps = most_maps(before, after, problem.columns, problem.out_channels)
        tile = [_part(n, _THICK) for n in size[:-1]] + [_part(size[-1], _LAST)]
        samples = max(1, min(problem.batch, _NUMBERS // (maps * math.prod(tile))))
        for axis in range(len(size) - 1):
            excess = maps * math.prod(tile) / _NUMBERS
            if excess > 1:
                tile[axis] = max(_part(size[axis], tile[axis] / excess), min(tile[axis], _THIN))
        return tuple(tile), samples

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_plans": {}}


def _full(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


def _given_out(x: Tensor) -> torch.dtype:
    """The dtype that a convolution of x has."""
    device = x.device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        return x.dtype if x.dtype == torch.float64 else torch.get_autocast_dtype(device)
    return x.dtype


def _part(length: int, longest: float) -> int:
    """The length of as few equal parts as are no longer than that, which is at least 1."""
    return math.ceil(length / math.ceil(length / max(1, longest)))


def _chunk(problem: Problem) -> tuple[tuple[int, ...], int]:
    """Tiles without gaps where nothing is expanded, and the samples that are computed at once."""
    maps = problem.columns + problem.out_channels
    rest = math.prod(problem.size[1:])
    tile = (_part(problem.size[0], _NUMBERS / (maps * rest)), *problem.size[1:])
    # Features of many pixels are read and written where they lie, one sample at a time.
    numbers = maps * math.prod(tile)
    return tile, 1 if math.prod(tile) > _MANY else max(1, min(problem.batch, _NUMBERS // numbers))
