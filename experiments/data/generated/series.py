"""What the generated sets have in common: their size, and the names and cases in them."""

from collections.abc import Callable
from functools import partial
from typing import Any

from experiments.common.errors import UserError
from experiments.data.cases import Case, Regions, Sample
from experiments.data.checks import check_memory

MOST = 100_000
"""Samples in a set."""


def generated_name(index: int) -> str:
    """The name of a sample of a generated set."""
    return f"generated-{index:04d}"


def check_series(count: int, size: int, dim: int, least_count: int, least_size: int) -> None:
    """Raises `UserError` for a set or for samples of a size that cannot be made."""
    if not least_count <= count <= MOST:
        raise UserError(f"--count {count}: must be from {least_count} to {MOST}")
    if size < least_size:
        raise UserError(f"--size {size}: must be at least {least_size}")
    check_memory(f"--size {size}", {"a sample": (size,) * dim}, 16, None)


def series(make: Callable[..., Sample], count: int, regions: Regions, **options: Any) -> list[Case]:
    """Cases that `make(regions, index=..., **options)` makes up when they are asked for."""
    return [
        Case(generated_name(index), regions=regions, make=partial(make, index=index, **options))
        for index in range(count)
    ]
