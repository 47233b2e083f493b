"""Figures and lists as they stand in sentences and tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["fixed", "listing", "mean_of", "shortened", "span", "with_spread"]

_EXACT = 1 - 1e-9


def fixed(value: float | None, digits: int = 3) -> str:
    """A figure with a fixed number of digits; rounded down if it would read 1 and is not."""
    if value is None:
        return "–"
    if value < _EXACT and float(f"{value:.{digits}f}") == 1:
        return f"{1 - 10**-digits:.{digits}f}"
    return f"{value:.{digits}f}"


def with_spread(score: tuple[float | None, float | None], digits: int = 3) -> str:
    """Mean, with ± standard deviation when there is one."""
    mean, spread = score
    return fixed(mean, digits) + (f" ± {spread:.{digits}f}" if spread is not None else "")


def span(values: Sequence[float]) -> str:
    """The range of the values."""
    low, high = fixed(min(values)), fixed(max(values))
    return low if low == high else f"between {low} and {high}"


def listing(items: Iterable[str]) -> str:
    """One, two and three."""
    parts = list(items)
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def shortened(count: float) -> str:
    """A large number with its unit: 1.2 M."""
    for unit, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count:.0f}"


def mean_of(values: Sequence[float | None]) -> float | None:
    """Mean of the values that are known."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
