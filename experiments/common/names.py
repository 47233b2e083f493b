"""Names of samples, in the order that a reader expects."""

from __future__ import annotations

import re

__all__ = ["natural_key"]


def natural_key(name: str) -> tuple[tuple[int, str], ...]:
    """A key that sorts the numbers inside names by value: frame2 before frame10."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return (*((int(part), "") if part[0] in "0123456789" else (-1, part) for part in parts),)
