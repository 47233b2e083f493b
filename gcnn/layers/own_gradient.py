"""When an operation may bring a gradient of its own."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad


def may_bring_its_gradient(x: Tensor) -> bool:
    """Whether an operation on x may be a black box with a gradient of its own.

    Compilers, tracers, function transforms and forward differentiation look inside. What is
    written for processors is for them alone.
    """
    special = (
        torch.compiler.is_compiling()
        or torch._C._get_tracing_state() is not None
        or torch._C._are_functorch_transforms_active()
        or forward_ad._current_level >= 0
    )
    return x.device.type == "cpu" and not special
