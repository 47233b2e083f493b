"""What is at work around an operation: when it may bring a gradient of its own, and autocast."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.autograd import forward_ad


def is_looked_into() -> bool:
    """Whether compilers, tracers, function transforms or forward differentiation are at work.

    They look inside operations, and want such as they know.
    """
    modes = torch._C._TorchDispatchModeKey
    return (
        torch.compiler.is_compiling()
        or torch._C._get_tracing_state() is not None
        or torch._C._are_functorch_transforms_active()
        or forward_ad._current_level >= 0
        or any(torch._C._get_dispatch_mode(mode) is not None for mode in (modes.PROXY, modes.FAKE))
    )


def is_batched(gradient: Tensor) -> bool:
    """Whether a backward pass is one of many at once, as under `is_grads_batched`."""
    batched: bool = torch._C._functorch.is_legacy_batchedtensor(gradient)
    return batched or torch._C._are_functorch_transforms_active()


def autocast_dtype(device: str) -> torch.dtype | None:
    """The dtype of autocast on a device; None outside it."""
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return None


def outside_autocast(device: str) -> AbstractContextManager[object]:
    """Compute as written: autocast would round a basis, and with it the equivariance."""
    if not torch.amp.is_autocast_available(device):
        return nullcontext()
    return torch.autocast(device, enabled=False)


def may_bring_its_gradient(x: Tensor) -> bool:
    """Whether an operation on x that is written for processors (CPUs) may be a black box."""
    return x.device.type == "cpu" and not is_looked_into()
