"""Intervals, tests and outliers, against hand-computed examples and simulation."""

import math

import numpy as np
import pandas as pd
import pytest

from experiments.results.statistics import adjusted, cells, difference, estimate, outliers


def rows(values: dict[str, list[float]], metric: str = "dice", **columns: object) -> pd.DataFrame:
    """Rows of one region: of every seed the values of cases a, b, ..."""
    made = [
        {"case": chr(97 + case), "seed": int(seed), "run": seed, "value": value}
        for seed, numbers in values.items()
        for case, value in enumerate(numbers)
    ]
    return pd.DataFrame(made).assign(metric=metric, present=True, **columns)


def test_regions_are_averaged_in_their_case_and_absent_ones_left_out() -> None:
    table = pd.concat(
        [
            rows({"0": [0.2, 0.4]}, region="core"),
            rows({"0": [0.6, 1.0]}, region="whole").assign(present=[True, False]),
        ]
    )
    assert cells(table)["0"].to_dict() == pytest.approx({"a": 0.4, "b": 0.4})
    assert estimate(table).mean == pytest.approx(0.4)


def test_a_right_answer_where_nothing_is_there_does_not_lift_the_mean() -> None:
    table = rows({"0": [0.5, 0.7, 1.0, 1.0]}).assign(present=[True, True, False, False])
    found = estimate(table)
    assert (found.mean, found.cases) == (pytest.approx(0.6), 2)


def test_undefined_values_and_missing_cells_are_left_out() -> None:
    found = estimate(rows({"0": [0.2, math.nan, 0.6], "1": [0.4]}))
    assert found.mean == pytest.approx((0.2 + 0.6 + 0.4) / 3)
    assert (found.cases, found.runs) == (2, 2)
    nothing = estimate(rows({"0": [math.nan]}))
    assert math.isnan(nothing.mean) and nothing.cases == 0


def test_one_case_has_no_interval_and_equal_ones_have_none_to_speak_of() -> None:
    assert math.isnan(estimate(rows({"0": [0.5], "1": [0.7]})).low)
    same = estimate(rows({"0": [0.5] * 5}))
    assert (same.low, same.high) == pytest.approx((0.5, 0.5))


def test_with_many_cases_the_interval_is_that_of_the_standard_error() -> None:
    values = np.random.default_rng(0).normal(0.7, 0.1, 200)
    found = estimate(rows({"0": values.tolist()}))
    reach = 1.972 * values.std(ddof=1) / math.sqrt(200)
    assert (found.low, found.high) == pytest.approx(
        (values.mean() - reach, values.mean() + reach), abs=0.1 * reach
    )


def test_few_cases_are_covered_as_often_as_promised() -> None:
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(200):
        found = estimate(rows({"0": rng.normal(0.5, 0.1, 8).tolist()}))
        inside += found.low <= 0.5 <= found.high
    assert inside >= 180


def test_seeds_that_differ_widen_the_interval_of_the_same_cases() -> None:
    cases = np.linspace(0.5, 0.6, 20)
    alike = estimate(rows({"0": list(cases), "1": list(cases)}))
    apart = estimate(rows({"0": list(cases - 0.1), "1": list(cases + 0.1)}))
    assert apart.mean == pytest.approx(alike.mean)
    assert apart.high - apart.low > 3 * (alike.high - alike.low)


def test_networks_are_compared_case_by_case_so_that_hard_cases_do_not_hide_a_difference() -> None:
    cases = np.linspace(0.1, 0.9, 12)
    one, other = rows({"0": list(cases + 0.02)}), rows({"0": list(cases)})
    found = difference(one, other)
    assert (found.mean, found.low, found.high) == pytest.approx((0.02, 0.02, 0.02))
    assert found.p < 0.01
    assert estimate(one).low < estimate(other).high


def test_p_is_two_sided_and_not_smaller_than_so_few_cases_can_give() -> None:
    assert difference(rows({"0": [0.3, 0.4, 0.5]}), rows({"0": [0.1, 0.2, 0.3]})).p == 2**-2
    rng = np.random.default_rng(0)
    noise = difference(rows({"0": list(rng.random(40))}), rows({"0": list(rng.random(40))}))
    assert 0.05 < noise.p <= 1
    one, other = rows({"0": list(np.arange(20) / 20)}), rows({"0": list(np.arange(20) / 20)})
    assert difference(one, other).p == 1


def test_only_the_cases_and_seeds_that_both_have_are_compared() -> None:
    one = rows({"0": [0.5, 0.9], "1": [0.6, 0.9]})
    other = rows({"1": [0.2], "2": [0.0, 0.0]})
    assert difference(one, other).mean == pytest.approx(0.4)
    strangers = difference(rows({"0": [0.5, 0.7]}), rows({"1": [0.4], "2": [0.2]}))
    assert strangers.mean == pytest.approx(0.2) and strangers.cases == 1


def test_several_p_are_corrected_by_holm() -> None:
    assert adjusted([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert adjusted([0.9, math.nan, 0.8])[:1] == [1.0] and math.isnan(adjusted([math.nan])[0])


@pytest.mark.parametrize(("metric", "sign"), [("dice", 1), ("hausdorff_95", -1)])
def test_outliers_are_beyond_the_fence_on_the_bad_side_the_worst_first(
    metric: str, sign: int
) -> None:
    values = pd.Series([*np.linspace(0.8, 0.88, 9), 0.2, 0.1, 2.0], index=list("123456789bwg"))
    assert list(outliers(sign * values, metric).index) == ["w", "b"]


def test_the_worst_value_of_an_error_is_the_largest() -> None:
    assert estimate(rows({"0": [0.1, 0.4]}, "error")).worst == 0.4
    assert estimate(rows({"0": [0.1, 0.4]})).worst == 0.1
