"""Figures and lists as they stand in sentences and tables."""

import math
from collections.abc import Iterable

from experiments.results.statistics import Estimate


def fixed(value: float, digits: int = 3) -> str:
    """A figure with a fixed number of digits; rounded down if it would read 1 and is not."""
    if math.isnan(value):
        return "–"
    if value < 1 - 1e-9 and float(f"{value:.{digits}f}") == 1:
        return f"{1 - 10**-digits:.{digits}f}"
    return f"{value:.{digits}f}"


def with_interval(score: Estimate, digits: int = 3, sign: str = "") -> str:
    """Mean, and its interval when there is one: `0.812 [0.774, 0.846]`."""
    mean = f"{score.mean:{sign}.{digits}f}" if sign and score.cases else fixed(score.mean, digits)
    if math.isnan(score.low):
        return mean
    return f"{mean} [{score.low:{sign}.{digits}f}, {score.high:{sign}.{digits}f}]"


def capital(text: str) -> str:
    """The text as a sentence or a title begins."""
    return text[0].upper() + text[1:]


def p_value(p: float) -> str:
    """`p = 0.012`, or `p < 0.001`."""
    return "p –" if math.isnan(p) else "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def listing(items: Iterable[str]) -> str:
    """One, two and three."""
    *most, last = list(items) or [""]
    return f"{', '.join(most)} and {last}" if most else last


def plural(count: int, what: str) -> str:
    """`1 case`, `2 cases`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
