"""Kernels of lifting and group convolutions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from gcnn.fields import Field, Regular, Trivial
from gcnn.filters import Basis, SeparableBasis
from gcnn.geometry import find, scales_of
from gcnn.groups import Group
from gcnn.kernels.arrangement import Arrangement, Neighbours, Together
from gcnn.kernels.axis_by_axis import Bank
from gcnn.kernels.expansion import gather, neighbours, product, relative_basis, relative_choice
from gcnn.kernels.gain import expected_gain
from gcnn.kernels.half_precision import two_terms
from gcnn.kernels.kernel import Kernel
from gcnn.kernels.solved import Solved
from gcnn.kernels.table import Table

# A product with the table of `relative_basis` sums over all relative elements and functions, most
# of them zeros. Up to so many that is faster than gathering weights first.
_MOST_TERMS = 48
# In bfloat16 they cost less, as long as they stay in a processor's cache.
_LARGEST_TABLE = 2**19
_SAME = 1e-9

Arrange = Callable[[Tensor], Tensor]
Elements = tuple[int, ...]


def lifting_kernel(group: Group, basis: Basis, kernel_size: int) -> Kernel:
    """From images to feature maps on a group."""
    source = _Source(group, basis, kernel_size)
    if not isinstance(group.field, Regular):
        return source.solved(Trivial())
    kernel = source.kernel(Trivial(), partial(torch.unsqueeze, dim=2), source.gain())
    return replace(kernel, axis_by_axis=source.bank(((0,),) * group.order, order=1))


def group_kernel(group: Group, basis: Basis, kernel_size: int) -> Kernel:
    """From feature maps on a group to feature maps on it, or on its `target`."""
    source = _Source(group, basis, kernel_size)
    if not isinstance(group.field, Regular):
        return source.solved(group.field)
    count, order, size = source.sampled().shape[:3]
    relatives, sources = len(group.relative_matrices), group.sources[group.outputs]
    seen = tuple(map(tuple, sources.tolist()))
    at_once = partial(relative_basis, group.relative)
    formula: Callable[..., Tensor] = product
    arrangement: Arrangement = Together(order, order)
    rounded = source.rounded(at_once, relatives * count * order**2)
    interacting = order
    if group.interacting is not None:
        formula, arrangement, interacting = neighbours, Neighbours(seen, order), relatives
        rounded = None
        outputs = partial(torch.index_select, dim=1, index=group.outputs)
        tables: tuple[Table, ...] = (source.table(outputs), Table((sources >= 0).clone))
    elif relatives * count <= _MOST_TERMS:
        tables = (source.table(at_once),)
    else:
        formula = gather
        tables = (source.table(), Table(partial(relative_choice, group.relative)))
    return Kernel(
        basis=basis,
        input_field=group.field,
        output_field=group.target.field,
        size=size,
        shape=(relatives, count),
        gain=interacting * source.gain(),
        formula=formula,
        tables=tables,
        rounded_tables=rounded,
        arrangement=arrangement,
        axis_by_axis=source.bank(seen, order, group.outputs),
    )


def adjoint_kernel(group: Group, basis: Basis, kernel_size: int) -> Kernel:
    """Of the transposed convolution: the adjoint of the `group_kernel`."""
    return group_kernel(group, basis, kernel_size).adjoint


def spatial_kernel(group: Group, basis: Basis, kernel_size: int) -> Kernel:
    """From feature maps on a group to such, each element by itself, in groups of one field."""
    if not isinstance(group.field, Regular):
        raise ValueError(
            f"{group} has the field {group.field}, which has no elements that could be taken by "
            "themselves: use GroupConv"
        )
    return replace(
        lifting_kernel(group, basis, kernel_size),
        input_field=group.field,
        # Each number has a group of channels of its own, and only sees itself.
        arrangement=Together(group.order, group.order, blocks=group.order),
        axis_by_axis=None,
    )


@dataclass(frozen=True, eq=False)
class _Source:
    """What filters are made of: functions of a basis, moved by every element of a group."""

    group: Group
    basis: Basis
    kernel_size: int

    def sampled(self) -> Tensor:
        return self.basis.sample(self.group.matrices, self.kernel_size).detach()

    def solved(self, input_field: Field) -> Kernel:
        """Weights are coordinates among all filters between two fields that move with the group."""
        # Of a learned basis too they are chosen once, so that weights keep their meaning.
        group = self.group
        arrange = Solved(input_field, group.field, group.matrices, self.sampled())
        return self.kernel(input_field, arrange)

    def kernel(self, input_field: Field, arrange: Arrange, gain: float | None = None) -> Kernel:
        """One weight for each of the filters `(P, output size, input size, *kernel)`."""
        filters = arrange(self.sampled())
        if gain is None:
            gain = expected_gain(filters.transpose(1, 2).flatten(0, 1), self.basis.power)
        return Kernel(
            basis=self.basis,
            input_field=input_field,
            output_field=self.group.field,
            size=filters.shape[-1],
            shape=(len(filters),),
            gain=gain,
            formula=product,
            tables=(self.table(arrange),),
            rounded_tables=self.rounded(arrange, math.prod(filters.shape[:3])),
            arrangement=Together(input_field.size, self.group.field.size),
        )

    def table(self, arrange: Arrange | None = None) -> Table:
        """The functions, arranged for a formula."""
        return Table(partial(self._arranged, arrange), learned=isinstance(self.basis, nn.Module))

    def rounded(self, arrange: Arrange, functions: int) -> tuple[Table, Table] | None:
        """The same for products in bfloat16, unless there are too many functions, zeros too."""
        pixels = self.kernel_size**self.group.dim
        if functions * pixels > _LARGEST_TABLE or isinstance(self.basis, nn.Module):
            return None
        contiguous, last = (
            Table(partial(self._in_two_terms, arrange, last)) for last in (False, True)
        )
        return contiguous, last

    def gain(self) -> float:
        """The gain of the basis, without the scales: it is the same for every list of them."""
        matrices = self.group.matrices
        scales = scales_of(matrices)
        if (scales - 1).abs().max() > _SAME:
            units = matrices / scales[:, None, None]
            matrices = units[find(units, units).unique()]
        functions = self.basis.sample(matrices, self.kernel_size).detach()
        return expected_gain(functions, self.basis.power)

    def bank(
        self, sources: tuple[Elements, ...], order: int, outputs: Tensor | slice = slice(None)
    ) -> Bank | None:
        """What an evaluation axis by axis needs, if the functions are products."""
        if not isinstance(self.basis, SeparableBasis) or self.group.dim == 1:
            return None
        factors = self.basis.factors(self.group.matrices, self.kernel_size)
        if factors is None:
            return None
        return Bank(replace(factors, tables=factors.tables[:, outputs]), sources, order)

    def _arranged(self, arrange: Arrange | None) -> Tensor:
        functions = self.basis.sample(self.group.matrices, self.kernel_size)
        return functions if arrange is None else arrange(functions)

    def _in_two_terms(self, arrange: Arrange, last: bool) -> Tensor:
        return two_terms(self._arranged(arrange), last=last)
