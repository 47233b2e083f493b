"""Where tables of numbers are built: on the CPU, as tensors that can be used anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def ordinary_tensors() -> Iterator[None]:
    """Build on the CPU and outside inference mode, whatever the caller's default device and mode.

    Groups and bases are remembered and shared between networks: one that was built on another
    device, or as inference tensors, would fail in the next network that meets it.

    >>> with torch.device("meta"), ordinary_tensors():
    ...     torch.zeros(1).device
    device(type='cpu')
    """
    with torch.inference_mode(False), torch.device("cpu"):
        yield
