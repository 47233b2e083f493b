"""The table of results survives being written and read."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from experiments.common.errors import UserError
from experiments.results.table import COLUMNS, read_table, rows_of, table_text


def table(cases: list[str], values: torch.Tensor) -> pd.DataFrame:
    made = rows_of({"dice": values}, cases, ["whole", "core"], "rotation", 45, values > 0.5)
    return made.assign(run="001", network="p4", seed=3)


def test_there_is_a_row_for_every_case_region_and_metric() -> None:
    made = table(["a", "b"], torch.tensor([[0.1, 0.2], [0.3, 0.9]]))
    found = made[["case", "region", "at", "metric", "present", "value"]].values.tolist()
    assert found[1:3] == [
        ["a", "core", 45.0, "dice", False, pytest.approx(0.2)],
        ["b", "whole", 45.0, "dice", False, pytest.approx(0.3)],
    ]
    assert made["present"].tolist() == [False, False, False, True]


@pytest.mark.parametrize("name", ["007", "NA", "nan", "1e5", "a, b", 'say "hello"', "Ünï"])
def test_names_come_back_as_they_were_and_undefined_values_too(name: str, tmp_path: Path) -> None:
    made = table([name], torch.tensor([[0.123456789, float("nan")]]))
    file = tmp_path / "results.csv"
    file.write_text(table_text(made), encoding="utf-8")
    pd.testing.assert_frame_equal(read_table(file), made[list(COLUMNS)], check_dtype=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [("a,b\n1,2\n", "has no column run"), ("", "no table of results"), (None, "cannot be read")],
)
def test_what_is_no_table_is_named(text: str | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / "results.csv"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UserError, match=message) as error:
        read_table(file)
    assert str(file) in str(error.value)
