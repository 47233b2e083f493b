"""The kernel of a convolution: how weights become filters."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from gcnn.fields import Field
from gcnn.filters import Basis
from gcnn.kernels.arrangement import Arrangement
from gcnn.kernels.separable import AxisByAxis, Window
from gcnn.kernels.table import Table


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
        tables: what the formula multiplies weights with, or indexes them by.
        arrangement: how feature maps are the channels of the ordinary convolution.
        axis_by_axis: makes the evaluation without dense filters, if the basis allows for it.
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
    axis_by_axis: Callable[[Window], AxisByAxis] | None

    def expand(self, weight: Tensor) -> Tensor:
        """The filters of the ordinary convolution, in the dtype and device of the weight.

        Args:
            weight: `(out, in, *shape)`.

        Returns:
            `(out · output size, in · input size, *kernel)`; where elements only see their M
            neighbours `(|H| · out, M · in, *kernel)`, for a convolution with |H| groups of
            channels.
        """
        tables = [table.like(weight) for table in self.tables]
        with _without_autocast(weight.device.type):
            return self.formula(weight.to(tables[0].dtype), *tables).to(weight.dtype)

    def prepare(self, weight: Tensor) -> None:
        """Make the tables for weights like this one, so that a compiler finds them."""
        for table in self.tables:
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


def _without_autocast(device: str) -> AbstractContextManager[object]:
    # The product with the basis would round the basis to half precision, and with it the
    # equivariance.
    if not torch.amp.is_autocast_available(device):
        return nullcontext()
    return torch.autocast(device, enabled=False)
