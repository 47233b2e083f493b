"""Expanded filters, remembered in eval mode and never stale."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from gcnn.kernels import Form
from gcnn.kernels.table import Remembered


class FilterCache:
    """Remembers filters of every form, with copies of all tensors they came from.

    Those are compared by value, because their version counter misses changes through `.data`,
    which optimisers and moving averages make. Comparing reads far less than expanding writes.
    Whenever a gradient, a tracer or a function transform needs to see the expansion itself,
    nothing is remembered.
    """

    def __init__(self) -> None:
        self._entries: dict[Form, tuple[list[Tensor], Tensor]] = Remembered()

    def get(
        self,
        module: nn.Module,
        sources: Sequence[Tensor],
        form: Form,
        expand: Callable[[Tensor, Form], Tensor],
    ) -> Tensor:
        """The filters of a module: remembered ones if nothing has changed, else expanded ones.

        Args:
            module: is asked for its mode.
            sources: everything that filters depend on, the weight first.
            form: of the filters.
            expand: makes the filters of a weight.
        """
        if not _may_remember(module, sources):
            return expand(sources[0], form)
        # What other threads put there meanwhile is never half new.
        entry = self._entries.get(form)
        if entry is None or not _same(entry[0], sources):
            # Inference tensors could not be used by a later call outside inference mode.
            with torch.inference_mode(False), torch.no_grad():
                current = [source.detach().clone() for source in sources]
                entry = current, expand(current[0], form)
            self._entries[form] = entry
        return entry[1]

    def clear(self) -> None:
        """Forget, to free the memory."""
        self._entries = Remembered()


def _may_remember(module: nn.Module, sources: Sequence[Tensor]) -> bool:
    if (
        module.training
        or torch.compiler.is_compiling()
        or torch._C._get_tracing_state() is not None
    ):
        return False
    if torch.is_grad_enabled() and any(source.requires_grad for source in sources):
        return False
    # A plain tensor in the place of the parameter: parametrised, functional or vmapped.
    return isinstance(sources[0], nn.Parameter) and not any(s.is_meta for s in sources)


def _same(ones: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    return all(
        one.dtype == other.dtype and one.device == other.device and torch.equal(one, other)
        for one, other in zip(ones, others, strict=True)
    )
