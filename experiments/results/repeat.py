"""How to repeat a study: what to type, and the section of the report that says so."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from experiments.common.options import Options
from experiments.results.html import Section, code, facts, heading, table
from experiments.results.runs import EvaluatedRun

__all__ = ["command", "commands", "how_to_repeat"]


def command(
    study: str,
    name: str,
    options: type[Options],
    values: Mapping[str, Any],
    left_out: Collection[str] = (),
) -> str:
    """What to type for the command `name` of a study with these options.

    Args:
        study: the package under `experiments`.
        name: of the command.
        options: knows the defaults, which are not typed.
        values: of the options, as they are or as plain data.
        left_out: options that are not typed either.
    """
    defaults = {
        field.name: field.default_factory()
        if field.default_factory is not MISSING
        else field.default
        for field in fields(options)
    }
    words = ["python", "-m", f"experiments.{study}", name]
    for option, value in values.items():
        if option not in left_out and value != defaults.get(option, MISSING):
            several = value if isinstance(value, list) else [value]
            words += [f"--{option}", *(_word(one) for one in several)]
    return shlex.join(words)


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)


def commands(
    study: str,
    train: type[Options],
    evaluate: type[Options],
    runs: Sequence[EvaluatedRun],
    out: Path,
) -> str:
    """What to type to train, evaluate and report runs anew; `train`, `evaluate`: their options."""
    lines = []
    for run in runs:
        config, options = run.evaluation["config"], run.evaluation["options"]
        lines.append(command(study, "train", train, {"out": run.path, **config}))
        lines.append(command(study, "evaluate", evaluate, {"run": run.path, **options}))
    paths = [run.path for run in runs]
    return "\n".join([*lines, command(study, "report", Options, {"runs": paths, "out": out})])


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
