"""Print measurements as an aligned table, and write them as JSON."""

import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

Row = Mapping[str, str | int | float | bool]


def show(title: str, rows: Sequence[Row]) -> None:
    """Print `rows` (dictionaries with the same keys) under their keys as headings."""
    print(f"\n{title}")
    if not rows:
        print("  (nothing was measured)")
        return
    table = [list(rows[0])] + [[_text(value) for value in row.values()] for row in rows]
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    for line in table:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)))


def write(path: Path, rows: Sequence[Row]) -> None:
    """Write `rows` and what they were measured on to the JSON file `path`."""
    machine = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "processor": platform.machine(),
        "threads": torch.get_num_threads(),
    }
    path.write_text(json.dumps({"machine": machine, "rows": rows}, indent=2) + "\n")


def _text(value: str | int | float | bool) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    return str(value)
