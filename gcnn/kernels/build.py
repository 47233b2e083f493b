"""Kernels of lifting and group convolutions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from torch import Tensor, nn

from gcnn.fields import Field, Regular, Trivial
from gcnn.filters import Basis, SeparableBasis
from gcnn.geometry import find, scales_of
from gcnn.groups import Group
from gcnn.kernels.arrangement import Apart, Arrangement, Neighbours, Together
from gcnn.kernels.axis_by_axis import AxisByAxis, Window
from gcnn.kernels.expansion import (
    gather,
    neighbours,
    product,
    relative_basis,
    relative_choice,
)
from gcnn.kernels.gain import expected_gain
from gcnn.kernels.half_precision import two_terms
from gcnn.kernels.kernel import Kernel
from gcnn.kernels.solved import combined, coordinates, means
from gcnn.kernels.table import Table

# A product with the table of `relative_basis` sums over all relative elements and functions, most
# of them zeros. Up to so many that is faster than gathering weights first.
_MOST_TERMS = 48
# In bfloat16 they cost less, as long as they stay in a processor's cache.
_LARGEST_TABLE = 2**19
_SAME = 1e-9


def lifting_kernel(group: Group, basis: Basis, kernel_size: int) -> Kernel:
    """From images to feature maps on a group."""
    if not isinstance(group.field, Regular):
        return _solved(group, Trivial(), basis, kernel_size)
    count, order, size = _sampled(group, basis, kernel_size).shape[:3]
    return Kernel(
        basis=basis,
        input_field=Trivial(),
        output_field=group.field,
        size=size,
        shape=(count,),
        gain=_gain(group, basis, kernel_size),
        formula=product,
        tables=(_table(group, basis, kernel_size, _from_one_number),),
        rounded_tables=_rounded(group, basis, kernel_size, _from_one_number, count * order),
        arrangement=Together(1, order),
        axis_by_axis=_axis_by_axis(group, basis, kernel_size, ((0,),) * order, range(order)),
    )


def group_kernel(group: Group, basis: Basis, kernel_size: int) -> Kernel:
    """From feature maps on a group to feature maps on it, or on its `target`."""
    if not isinstance(group.field, Regular):
        return _solved(group, group.field, basis, kernel_size)
    count, order, size = _sampled(group, basis, kernel_size).shape[:3]
    relatives, sources = len(group.relative_matrices), group.sources[group.outputs]
    seen = tuple(map(tuple, sources.tolist()))
    formula: Callable[..., Tensor] = product
    arrangement: Arrangement = Together(order, order)
    at_once = partial(relative_basis, group.relative)
    rounded = _rounded(group, basis, kernel_size, at_once, relatives * count * order**2)
    interacting = order
    if group.interacting is not None:
        formula, arrangement, interacting = neighbours, Neighbours(seen, order), relatives
        rounded = None
        outputs = _table(group, basis, kernel_size, partial(_of_elements, group.outputs))
        tables: tuple[Table, ...] = (outputs, Table((sources >= 0).clone))
    elif relatives * count <= _MOST_TERMS:
        tables = (_table(group, basis, kernel_size, at_once),)
    else:
        formula = gather
        tables = (
            _table(group, basis, kernel_size, _unchanged),
            Table(partial(relative_choice, group.relative)),
        )
    return Kernel(
        basis=basis,
        input_field=group.field,
        output_field=group.target.field,
        size=size,
        shape=(relatives, count),
        gain=interacting * _gain(group, basis, kernel_size),
        formula=formula,
        tables=tables,
        rounded_tables=rounded,
        arrangement=arrangement,
        axis_by_axis=_axis_by_axis(group, basis, kernel_size, seen, group.outputs.tolist()),
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
        arrangement=Apart(group.order, group.order),
        axis_by_axis=None,
    )


def _solved(group: Group, input_field: Field, basis: Basis, kernel_size: int) -> Kernel:
    """Between any fields: weights are coordinates among all filters that move with the group."""
    candidates = partial(means, input_field, group.field, group.matrices)
    # Of a learned basis too they are chosen once, so that weights keep their meaning.
    chosen = coordinates(candidates(_sampled(group, basis, kernel_size)))
    arrange = partial(_combined, candidates, chosen)
    filters = arrange(_sampled(group, basis, kernel_size))
    return Kernel(
        basis=basis,
        input_field=input_field,
        output_field=group.field,
        size=filters.shape[-1],
        shape=(len(filters),),
        gain=expected_gain(filters.transpose(1, 2).flatten(0, 1), basis.power),
        formula=product,
        tables=(_table(group, basis, kernel_size, arrange),),
        rounded_tables=_rounded(group, basis, kernel_size, arrange, math.prod(filters.shape[:3])),
        arrangement=Together(input_field.size, group.field.size),
        axis_by_axis=None,
    )


def _sampled(group: Group, basis: Basis, kernel_size: int) -> Tensor:
    return basis.sample(group.matrices, kernel_size).detach()


def _table(
    group: Group, basis: Basis, kernel_size: int, arrange: Callable[[Tensor], Tensor]
) -> Table:
    """The functions of the basis, arranged for a formula."""
    make = partial(_arranged, arrange, basis, group.matrices, kernel_size)
    return Table(make, learned=isinstance(basis, nn.Module))


def _rounded(
    group: Group,
    basis: Basis,
    kernel_size: int,
    arrange: Callable[[Tensor], Tensor],
    functions: int,
) -> tuple[Table, Table] | None:
    """The same for products in bfloat16, unless there are too many functions, zeros among them."""
    if functions * kernel_size**group.dim > _LARGEST_TABLE or isinstance(basis, nn.Module):
        return None
    contiguous, last = (
        _table(group, basis, kernel_size, partial(_in_two_terms, arrange, last))
        for last in (False, True)
    )
    return contiguous, last


def _in_two_terms(arrange: Callable[[Tensor], Tensor], last: bool, functions: Tensor) -> Tensor:
    return two_terms(arrange(functions), last=last)


def _arranged(
    arrange: Callable[[Tensor], Tensor], basis: Basis, matrices: Tensor, kernel_size: int
) -> Tensor:
    return arrange(basis.sample(matrices, kernel_size))


def _combined(candidates: Callable[[Tensor], Tensor], chosen: Tensor, functions: Tensor) -> Tensor:
    return combined(chosen, candidates(functions))


def _unchanged(functions: Tensor) -> Tensor:
    return functions


def _from_one_number(functions: Tensor) -> Tensor:
    return functions.unsqueeze(2)


def _of_elements(elements: Tensor, functions: Tensor) -> Tensor:
    return functions[:, elements]


def _gain(group: Group, basis: Basis, kernel_size: int) -> float:
    """The gain of the basis, without the scales: it is the same for every list of them."""
    matrices = group.matrices
    scales = scales_of(matrices)
    if (scales - 1).abs().max() > _SAME:
        units = matrices / scales[:, None, None]
        matrices = units[find(units, units).unique()]
    return expected_gain(basis.sample(matrices, kernel_size).detach(), basis.power)


def _axis_by_axis(
    group: Group,
    basis: Basis,
    kernel_size: int,
    sources: tuple[tuple[int, ...], ...],
    outputs: Sequence[int],
) -> Callable[[Window], AxisByAxis] | None:
    if not isinstance(basis, SeparableBasis) or group.dim == 1:
        return None
    factors = basis.factors(group.matrices, kernel_size)
    return None if factors is None else partial(AxisByAxis, factors, sources, tuple(outputs))
