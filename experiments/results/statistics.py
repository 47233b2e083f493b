"""Means with intervals, and differences between networks, from rows of the table of results.

Scores of one network form a matrix of cases and runs (seeds), with gaps where a run was not tested
on a case. Both are samples: of patients, and of trainings. The interval of a mean is that of the
bootstrap that draws cases and runs anew, each with replacement, and keeps the cells where they meet
(the pigeonhole bootstrap of Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 2007): a
cluster bootstrap over cases with the runs as second level. Percentiles of few cases lie too close
together; they are taken farther out, as Student's t is from the normal distribution (Hesterberg,
"What teachers should know about the bootstrap", The American Statistician 2015). With one run the
interval knows of no chance in the training; with one case there is none.

Two networks are compared on the cells that both have, case by case and seed by seed, by the same
bootstrap of the differences. Its p is two-sided: twice the share of draws on the other side of 0,
and never less than `2^(1 - cases)`, the least that a test of signs could give.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm, t

from experiments.results.metrics import HIGH_IS_BAD

DRAWS = 4000
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval; all NaN when there is nothing to average, `low` on for one case.

    `worst` is the worst single value, `p` two-sided: that the mean is 0.
    """

    mean: float
    low: float
    high: float
    worst: float
    cases: int
    runs: int
    p: float


def case_means(rows: pd.DataFrame, *by: str) -> pd.Series[float]:
    """Of every case the mean over its rows (regions, angles); absent regions are left out."""
    known = rows[rows["present"]].dropna(subset=["value"])
    return known.groupby(["case", *by] if by else "case", sort=False)["value"].mean()


def cells(rows: pd.DataFrame, by: str = "run") -> pd.DataFrame:
    """The means of cases × runs."""
    return case_means(rows, by).unstack()


def estimate(rows: pd.DataFrame) -> Estimate:
    """The mean of some rows of one network and metric, with its interval."""
    high_is_bad = bool(len(rows)) and rows["metric"].iloc[0] in HIGH_IS_BAD
    worst = rows.loc[rows["present"], "value"].agg("max" if high_is_bad else "min")
    return _bootstrap(cells(rows), float(worst))


def difference(rows: pd.DataFrame, others: pd.DataFrame) -> Estimate:
    """The mean of one network less that of another, in the cases (and seeds) that both have.

    Networks without a seed in common are compared by the means of every case over the seeds.
    """
    one, other = cells(rows, "seed"), cells(others, "seed")
    if not len(one.columns.intersection(other.columns)):
        one, other = one.mean(axis=1).to_frame(), other.mean(axis=1).to_frame()
    paired = (one - other).dropna(how="all").dropna(axis=1, how="all")
    return _bootstrap(paired, math.nan)


def _bootstrap(matrix: pd.DataFrame, worst: float) -> Estimate:
    values = matrix.to_numpy(dtype=float)
    known = ~np.isnan(values)
    cases, runs = values.shape
    if not known.any():
        return Estimate(*(math.nan,) * 4, 0, 0, math.nan)
    mean = float(values[known].mean())
    if cases < 2:
        return Estimate(mean, math.nan, math.nan, worst, cases, runs, math.nan)
    drawn, seeds = _counts(cases, 0), _counts(runs, 1)
    with np.errstate(invalid="ignore"):
        sums = (drawn @ np.where(known, values, 0) * seeds).sum(1)
        means = sums / (drawn @ known.astype(float) * seeds).sum(1)
    means = means[~np.isnan(means)]
    tail = norm.cdf(t.ppf((1 - LEVEL) / 2, cases - 1) * math.sqrt(cases / (cases - 1)))
    low, high = np.quantile(means, [tail, 1 - tail])
    side = min((means <= 0).sum(), (means >= 0).sum())
    p = min(1.0, max(2 * (side + 1) / (len(means) + 1), 2.0 ** (1 - cases)))
    return Estimate(mean, float(low), float(high), worst, cases, runs, float(p))


@lru_cache(maxsize=64)
def _counts(size: int, stream: int) -> NDArray[np.float64]:
    """How often each of `size` things is drawn, in every draw; the same for all networks."""
    if size == 1:
        return np.ones((DRAWS, 1))
    rng = np.random.default_rng([stream, size])
    return rng.multinomial(size, np.full(size, 1 / size), DRAWS).astype(float)


def adjusted(p: Sequence[float]) -> list[float]:
    """Holm's correction of several p; NaN stays and does not count."""
    known = pd.Series(p, dtype=float).dropna().sort_values()
    steps = (known * np.arange(len(known), 0, -1)).clip(upper=1).cummax()
    return steps.reindex(range(len(p))).tolist()


def outliers(values: pd.Series[float], metric: str) -> pd.Series[float]:
    """The values below Tukey's fence `Q1 - 1.5 (Q3 - Q1)`, or above that on the bad side."""
    sign = -1 if metric in HIGH_IS_BAD else 1
    signed = sign * values.dropna()
    q1, q3 = signed.quantile(0.25), signed.quantile(0.75)
    return sign * signed[signed < q1 - 1.5 * (q3 - q1)].sort_values()
