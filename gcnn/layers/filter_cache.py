"""Expanded filters, remembered in eval mode and never stale."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class FilterCache:
    """Remembers the filters of one weight tensor, with a copy of the weights they came from.

    The weights are compared by value, because their version counter misses changes through
    `.data`, which optimisers and moving averages make. Comparing reads far less than expanding
    writes. Whenever a gradient, a tracer or a function transform needs to see the expansion
    itself, nothing is remembered.
    """

    def __init__(self) -> None:
        self._weight: Tensor | None = None
        self._filters: Tensor | None = None

    def get(self, module: nn.Module, weight: Tensor, expand: Callable[[Tensor], Tensor]) -> Tensor:
        """The filters of `weight`: remembered ones if they are its own, else `expand(weight)`."""
        if not _may_remember(module, weight):
            return expand(weight)
        if self._filters is None or self._weight is None or not _same(self._weight, weight):
            # Inference tensors could not be used by a later call outside inference mode.
            with torch.inference_mode(False), torch.no_grad():
                current = weight.detach().clone()
                self._filters = expand(current)
                self._weight = current
        return self._filters

    def clear(self) -> None:
        """Forget, to free the memory."""
        self._weight = self._filters = None


def _may_remember(module: nn.Module, weight: Tensor) -> bool:
    if (
        module.training
        or torch.compiler.is_compiling()
        or torch._C._get_tracing_state() is not None
    ):
        return False
    if torch.is_grad_enabled() and weight.requires_grad:
        return False
    # A plain tensor in the place of the parameter: parametrised, functional or vmapped.
    return isinstance(weight, nn.Parameter) and not weight.is_meta


def _same(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and one.device == other.device and torch.equal(one, other)
