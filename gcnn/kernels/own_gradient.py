"""When an operation may bring a gradient of its own."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad


def is_looked_into() -> bool:
    """Whether compilers, tracers, function transforms or forward differentiation are at work.

    They look inside operations, and want such as they know.
    """
    return (
        torch.compiler.is_compiling()
        or torch._C._get_tracing_state() is not None
        or torch._C._are_functorch_transforms_active()
        or forward_ad._current_level >= 0
    )


def may_bring_its_gradient(x: Tensor) -> bool:
    """Whether an operation on x, written for processors, may be a black box."""
    return x.device.type == "cpu" and not is_looked_into()
