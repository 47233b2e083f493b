"""How to repeat a study: what to type, and the section of the report that says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.command_line.options import Options
from experiments.command_line.typed import command
from experiments.results.html import Section, code, facts, heading, table
from experiments.results.runs import EvaluatedRun

__all__ = ["commands", "how_to_repeat"]


def commands(
    program: str,
    train: type[Options],
    evaluate: type[Options],
    runs: Sequence[EvaluatedRun],
    out: Path,
) -> str:
    """What to type to train, evaluate and report runs anew; `train`, `evaluate`: their options."""
    lines = []
    for run in runs:
        config, options = run.evaluation["config"], run.evaluation["options"]
        lines.append(command(program, "train", train, {"out": run.path, **config}))
        lines.append(command(program, "evaluate", evaluate, {"run": run.path, **options}))
    paths = [run.path for run in runs]
    return "\n".join([*lines, command(program, "report", Options, {"runs": paths, "out": out})])


def how_to_repeat(runs: Sequence[EvaluatedRun], typed: str, samples: str) -> Section:
    """The section: the command, or commands, `typed`, the options, the split and the versions."""
    first = runs[0].evaluation
    split, environment = first["split"], first["environment"]
    configs = {run.path.name: run.evaluation["config"] for run in runs}
    values = {k: {_said(c.get(k)) for c in configs.values()} for c in configs.values() for k in c}
    splits = [run.evaluation["split"] for run in runs]
    seeds, trained = (sorted({s[key] for s in splits}) for key in ("seed", "train"))
    told = {
        "split": f"{split['kind']}, seed {_said(seeds)}: {_said(trained)} training, "
        f"{split['validation']} validation and {split['test']} test {samples}",
        **{k: said.copy().pop() for k, said in values.items() if len(said) == 1 and k != "split"},
    }
    differing = sorted(k for k, said in values.items() if len(said) > 1)
    rows = [[run, *(_said(c.get(k)) for k in differing)] for run, c in configs.items()]
    differ = [
        heading("Options that differ"),
        table(["run", *differing], rows, "What each run was given."),
    ]
    versions = {
        "python": environment["python"],
        **{k: _said(v) for k, v in environment["versions"].items()},
        **{k: _said(environment[k]) for k in ("commit", "platform")},
        "device": f"{environment['device']}, {first['cost']['threads']} threads",
        "evaluated": first["finished_at"],
    }
    return Section(
        "How to repeat it",
        [
            *(heading("Command"), code(typed), heading("Options of every run"), facts(told)),
            *(differ if differing else []),
            *(heading("Versions"), facts(versions)),
        ],
    )


def _said(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_said(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return " ".join(_said(item) for item in value)
    return str(value)
