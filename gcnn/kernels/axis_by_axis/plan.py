"""What an evaluation axis by axis needs for tensors of one size, dtype and device."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from gcnn.kernels.axis_by_axis.choice import Problem, Way
from gcnn.kernels.axis_by_axis.operators import Operator, axis_operators, support
from gcnn.kernels.axis_by_axis.side import Side


@dataclass(frozen=True)
class Step:
    """One element of the output, on one tile of the space where channels are mixed.

    Attributes:
        relatives: the relative elements at which it sees elements of the input.
        sides: those elements, and itself.
    """

    relatives: tuple[int, ...]
    sides: tuple[Side, Side]


@dataclass(frozen=True)
class Plan:
    """All steps.

    Attributes:
        steps: the sum of what they contribute is the result.
        sizes: elements and size of space, of the input and of the output.
        leaves: how many a channel has, before and after the mixing.
        leaf: `(K,)` each: which of them a function is.
        samples: of the batch that are computed at once.
        gain: of the functions, if no axis is expanded.
        dtype: in which all is computed.
    """

    steps: tuple[Step, ...]
    sizes: tuple[tuple[int, ...], tuple[int, ...]]
    leaves: tuple[int, int]
    leaf: tuple[Tensor, Tensor]
    samples: int
    gain: float
    dtype: torch.dtype

    def mixing(self, weight: Tensor) -> Tensor:
        """The weights as matrices that mix channels between expanding and contracting.

        Args:
            weight: `(out, in, M, K)`.

        Returns:
            `(M, leaves after · out, leaves before · in)`.
        """
        weight = (weight.to(self.dtype) * self.gain).permute(3, 2, 0, 1)
        empty = weight.new_zeros(*self.leaves, *weight.shape[1:])
        return empty.index_put(self.leaf, weight).permute(2, 1, 3, 0, 4).flatten(3).flatten(1, 2)


def make_plan(problem: Problem, way: Way) -> Plan:
    """How a problem is solved in this way."""
    bank, size = problem.bank, problem.size
    before, after = way.trees
    along = [
        axis_operators(table, length, problem.window)
        for table, length in zip(bank.factors.tables, size, strict=True)
    ]
    steps = []
    for h, sources in enumerate(bank.sources):
        relatives, seen = zip(*((m, s) for m, s in enumerate(sources) if s >= 0), strict=True)
        axes = [list(_parts(a[h], axis, problem, way)) for axis, a in enumerate(along)]
        for parts in itertools.product(*axes):
            inputs, outputs, *rest = zip(*parts, strict=True)
            sides = Side(before, seen, inputs, *rest), Side(after, (h,), outputs, *rest)
            steps.append(Step(relatives, sides))
    leaf_before, leaf_after = (
        torch.tensor([tree.leaf(degrees) for degrees in bank.factors.degrees]).to(problem.device)
        for tree in way.trees
    )
    return Plan(
        tuple(steps),
        sizes=((bank.order, *size), (len(bank.sources), *problem.output_size)),
        leaves=(len(before.leaves), len(after.leaves)),
        leaf=(leaf_before, leaf_after),
        samples=way.samples,
        gain=1.0 if after.axes else float(bank.factors.tables[:, 0, 0, 0].prod()),
        dtype=problem.dtype,
    )


def _parts(
    matrices: Tensor, axis: int, problem: Problem, way: Way
) -> Iterator[tuple[slice, slice, int, Operator, Operator]]:
    """One axis of all tiles of an element, from its matrices `(n, output size, size)`.

    Yields:
        ranges of the input and of the output, the size between them, where channels are mixed, and
        operators to there and back, from the side that is expanded along the axis.
    """
    before = axis in way.trees[0].axes
    matrices = matrices if before else matrices.mT
    mixed = matrices.shape[1]
    for start in range(0, mixed, way.tile[axis]):
        here = slice(start, min(start + way.tile[axis], mixed))
        there = slice(*support(matrices[:, here]))
        part = matrices[:, here, there].to(problem.device, problem.dtype)
        ranges = (there, here) if before else (here, there)
        yield *ranges, here.stop - start, Operator(part, axis), Operator(part.mT, axis)
