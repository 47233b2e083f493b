"""The table of results: what was measured, a value in each row.

    run, network, seed     which network was evaluated
    case, region           on what. Rows of the protocol "layers" are about a layer instead of a
                           case: its name, and its class as the region
    protocol, at           how the case was shown: "rotation" at 45 (degrees), "resampled" at 0.7
    metric, value          what came out; empty where it is undefined
    present                whether the region is truly there (True where the truth is not asked)

It is written as `evaluation/results.csv` of a run, and for several runs as `results.csv` beside
their report, so that pandas, R or a spreadsheet can ask what the report does not answer:

    pandas.read_csv("runs/demo/results.csv").query("metric == 'dice' and present")
        .groupby(["network", "protocol", "at"])["value"].mean()
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from torch import Tensor

from experiments.common.errors import UserError

NAMES = ("run", "network", "case", "region", "protocol", "metric")
"""The columns of text."""

COLUMNS = (
    *("run", "network", "seed", "case", "region", "protocol", "at"),
    *("metric", "present", "value"),
)


def rows_of(
    values: Mapping[str, Tensor],
    cases: Sequence[str],
    regions: Sequence[str],
    protocol: str,
    at: float,
    present: Tensor | bool = True,
) -> pd.DataFrame:
    """The rows for metrics, and for `present`, (cases, regions) of cases shown in one way."""
    index = pd.MultiIndex.from_product([list(cases), list(regions)], names=["case", "region"])
    wide = pd.DataFrame({k: v.double().flatten().tolist() for k, v in values.items()}, index=index)
    wide["present"] = present.flatten().tolist() if isinstance(present, Tensor) else present
    wide = wide.assign(protocol=protocol, at=float(at)).reset_index()
    kept = ["case", "region", "protocol", "at", "present"]
    return wide.melt(id_vars=kept, var_name="metric", value_name="value")


def table_text(table: pd.DataFrame) -> str:
    """The table as CSV, nine significant digits."""
    return table[list(COLUMNS)].to_csv(index=False, float_format="%.9g", lineterminator="\n")


def read_table(path: Path) -> pd.DataFrame:
    """A table that was written; names stay text, even those that look like numbers."""
    types = dict.fromkeys(NAMES, str) | {"present": bool, "at": float, "value": float}
    undefined = {"value": ["", "nan"]}
    try:
        table = pd.read_csv(path, dtype=types, keep_default_na=False, na_values=undefined)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error})") from None
    except ValueError as error:
        raise UserError(
            f"{path} is no table of results ({error}); evaluate the run again"
        ) from None
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise UserError(f"{path} has no column {missing[0]}; evaluate the run again")
    return table
