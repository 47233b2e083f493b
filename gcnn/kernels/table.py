"""Numbers that weights are multiplied with, wherever the weights are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gcnn.geometry import ordinary_tensors


class Remembered(dict[Any, Any]):
    """What can be made again: copies and pickles are empty."""

    def __reduce__(self) -> tuple[type[Remembered], tuple[()]]:
        return Remembered, ()


class Table:
    """A constant of a layer that is no state of it: kept for every dtype and device it is used in.

    Numbers are made in float64, so that a layer that goes to half precision and back is as exact
    as before. A table that is made in another dtype keeps it.

    Args:
        make: makes the table on the CPU. It is called again for each new dtype or device.
        learned: what `make` returns depends on parameters: it is called every time.
    """

    def __init__(self, make: Callable[[], Tensor], *, learned: bool = False) -> None:
        self._make = make
        self._learned = learned
        self._copies: dict[tuple[torch.device, torch.dtype], Tensor] = Remembered()

    def like(self, weight: Tensor) -> Tensor:
        """The table on the device of a weight and in its dtype, but at least in float32."""
        # Half precision is for features; filters are expanded in float32 at least.
        dtype = torch.promote_types(weight.dtype, torch.float32)
        if self._learned:
            return _converted(self._make(), weight.device, dtype)
        copy = self._copies.get((weight.device, dtype))
        if copy is None and torch.compiler.is_compiling() and self._copies:
            # A compiler cannot look into `make`; layers see to it that there is a copy.
            finest = max(self._copies.values(), key=lambda table: table.element_size())
            return _converted(finest, weight.device, dtype)
        if copy is None:
            with torch.no_grad(), ordinary_tensors():
                copy = _converted(self._make(), weight.device, dtype)
            self._copies[weight.device, dtype] = copy
        return copy


def _converted(table: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    full = table.dtype in (torch.float32, torch.float64)
    return table.to(device, dtype if full else table.dtype).contiguous()
