"""The kernel of a convolution: how weights become filters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from gcnn.fields import Field
from gcnn.filters import Basis
from gcnn.kernels.arrangement import Arrangement
from gcnn.kernels.axis_by_axis import Bank
from gcnn.kernels.half_precision import rounded_product
from gcnn.kernels.own_gradient import autocast_dtype, is_looked_into, outside_autocast
from gcnn.kernels.table import Table


@dataclass(frozen=True)
class Form:
    """What an ordinary convolution wants its filters to be.

    Attributes:
        dtype: of their numbers.
        last: in channels-last memory.
    """

    dtype: torch.dtype
    last: bool = False

    @classmethod
    def of(cls, weight: Tensor, *, last: bool) -> Form:
        """What a convolution of this weight wants, by autocast.

        Compilers and function transforms apply autocast themselves, or not at all.
        """
        dtype = weight.dtype
        if dtype == torch.float32 and not is_looked_into():
            dtype = autocast_dtype(weight.device.type) or dtype
        return cls(dtype, last)

    def fit(self, filters: Tensor) -> Tensor:
        """Filters in this form."""
        layout = torch.contiguous_format
        if self.last:
            layout = torch.channels_last if filters.ndim == 4 else torch.channels_last_3d
        return filters.to(dtype=self.dtype, memory_format=layout)


@dataclass(frozen=True, eq=False)
class Kernel:
    """Weights between fields, and the filters of the ordinary convolution they amount to.

    A convolution holds one, and asks it for filters. Everything that depends on the group, its
    fields and the basis is in here.

    Attributes:
        basis: what the filters are made of.
        input_field, output_field: what axis 2 of the feature maps holds.
        size: edge of the filters in pixels: the kernel size of a layer, or more where a scale
            above 1 needs a larger window.
        shape: of the weight between one input and one output field.
        gain: the variance of an output for weights of variance 1, in units of the input's.
        formula: from weights `(out, in, *shape)` and the tables to filters.
        tables: what the formula multiplies weights with, or chooses them by.
        arrangement: how feature maps are the channels of the ordinary convolution.
        rounded_tables: for `half_precision.rounded_product`, contiguous and channels-last, if it
            pays.
        axis_by_axis: what an evaluation without dense filters needs, if the basis allows for it.
    """

    basis: Basis
    input_field: Field
    output_field: Field
    size: int
    shape: tuple[int, ...]
    gain: float
    formula: Callable[..., Tensor]
    tables: tuple[Table, ...]
    arrangement: Arrangement
    rounded_tables: tuple[Table, Table] | None = None
    axis_by_axis: Bank | None = None

    def expand(self, weight: Tensor, form: Form | None = None) -> Tensor:
        """The filters of the ordinary convolution, on the device of the weight.

        Args:
            weight: `(out, in, *shape)`.
            form: dtype and memory layout; those of the weight unless given.

        Returns:
            `(out · output size, in · input size, *kernel)`; where elements only see their M
            neighbours `(|H| · out, M · in, *kernel)`, for a convolution with |H| groups of
            channels.
        """
        form = form or Form(weight.dtype)
        with outside_autocast(weight.device.type):
            if self.rounded_tables and weight.dtype != form.dtype == torch.bfloat16:
                table = self.rounded_tables[form.last].like(weight)
                return rounded_product(weight, table, last=form.last)
            tables = [table.like(weight) for table in self.tables]
            return form.fit(self.formula(weight.to(tables[0].dtype), *tables))

    def prepare(self, weight: Tensor) -> None:
        """Make the tables for weights like this one, so that a compiler finds them."""
        for table in (*self.tables, *(self.rounded_tables or ())):
            table.like(weight)

    @property
    def adjoint(self) -> Kernel:
        """The kernel of the transposed convolution: the same filters, read the other way."""
        return replace(
            self,
            input_field=self.output_field,
            output_field=self.input_field,
            arrangement=self.arrangement.adjoint,
        )

    def dependencies(self) -> tuple[Tensor, ...]:
        """What filters depend on besides the weight: the parameters of a learned basis."""
        basis = self.basis
        return (*basis.parameters(), *basis.buffers()) if isinstance(basis, nn.Module) else ()
