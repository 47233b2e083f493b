"""How to repeat a study: what to type, the options, and the versions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.command_line.options import Options
from experiments.command_line.typed import command
from experiments.results.runs import Comparison
from experiments.results.words import plural


def commands(c: Comparison, out: Path) -> str:
    """What to type to train, evaluate and report the runs anew."""
    study, lines = c.study, []
    program = study.program or f"python -m experiments.{study.name}"
    for run in c.runs:
        config, options = run.evaluation["config"], run.evaluation["options"]
        lines.append(command(program, "train", study.train, {"out": run.path, **config}))
        lines.append(command(program, "evaluate", study.evaluate, {"run": run.path, **options}))
    values = {"runs": [run.path for run in c.runs], "out": out}
    return "\n".join([*lines, command(program, "report", Options, values)])


def how_to_repeat(c: Comparison) -> dict[str, Any]:
    """The options that all runs share, header and rows of those that differ, and the versions."""
    configs = [run.evaluation["config"] for run in c.runs]
    given = pd.DataFrame(configs, [run.path.name for run in c.runs], dtype=object).map(_said)
    alike = given.nunique() == 1
    split, environment = c.first["split"], c.first["environment"]
    seeds, trained = (
        _said(sorted({run.evaluation["split"][key] for run in c.runs})) for key in ("seed", "train")
    )
    told = f"{split['kind']}, seed {seeds}: {trained} training, {split['validation']} validation"
    shared = {"split": f"{told} and {split['test']} test {c.study.sample}s"}
    shared |= given.loc[:, alike].drop(columns="split", errors="ignore").iloc[0].to_dict()
    differing = given.loc[:, ~alike].sort_index(axis=1).reset_index(names="run")
    versions = {
        "python": environment["python"],
        **environment["versions"],
        **{k: environment[k] for k in ("commit", "platform")},
        "device": f"{environment['device']}, {plural(c.first['cost']['threads'], 'thread')}",
        "evaluated": c.first["finished_at"],
    }
    versions = {name: _said(value) for name, value in versions.items()}
    return {"shared": shared, "differing": differing, "versions": versions}


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_said(item)}" for key, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " ".join(map(_said, value))
    return "none" if value is None or value != value else str(value)
