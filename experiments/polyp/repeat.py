"""The section of the report that says how to repeat it: commands, options, split, versions."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from experiments.common.options import Options
from experiments.common.report import Section, code, facts, heading, table
from experiments.polyp.comparison import Comparand
from experiments.polyp.evaluate import EvaluationOptions
from experiments.polyp.train import TrainOptions

__all__ = ["commands", "how_to_repeat"]


def commands(networks: Sequence[Comparand], out: Path) -> str:
    """What to type to train, evaluate and report these runs anew, all options included."""
    runs = [run for network in networks for run in network.runs]
    program = "python -m experiments.polyp"
    lines = []
    for run in runs:
        given = _given(TrainOptions, run.evaluation["config"])
        lines.append(f"{program} train --out {_quoted(run.path)} {given}".rstrip())
        given = _given(EvaluationOptions, run.evaluation["options"])
        lines.append(f"{program} evaluate --run {_quoted(run.path)} {given}".rstrip())
    paths = " ".join(_quoted(run.path) for run in runs)
    return "\n".join([*lines, f"{program} report --runs {paths} --out {_quoted(out)}"])


def _given(options: type[Options], values: Mapping[str, Any]) -> str:
    """The options that are not at their defaults, as they are typed."""
    defaults = {field.name: field.default for field in fields(options)}
    words = []
    for name, value in values.items():
        if value == defaults.get(name):
            continue
        words.append(f"--{name}")
        words += [_quoted(v) for v in (value if isinstance(value, list) else [value])]
    return " ".join(words)


def _quoted(value: Any) -> str:
    word = "null" if value is None else str(value)
    return shlex.quote(word.lower() if isinstance(value, bool) else word)


def how_to_repeat(networks: Sequence[Comparand], typed: str) -> Section:
    """The section; `typed` is the command, or commands, to show."""
    runs = [run for network in networks for run in network.runs]
    first = runs[0].evaluation
    split, environment = first["split"], first["environment"]
    configs = [run.evaluation["config"] for run in runs]
    shared = {k: v for k, v in configs[0].items() if all(c.get(k) == v for c in configs)}
    seeds = sorted({str(run.evaluation["split"]["seed"]) for run in runs})
    told = {
        "split": f"{split['kind']}, seed {', '.join(seeds)}: {split['train']} training, "
        f"{split['validation']} validation and {split['test']} test images",
        **{key: _said(value) for key, value in shared.items() if key != "split"},
    }
    differing = sorted({k for c in configs for k in c if k not in shared})
    versions = {
        "python": environment["python"],
        **{k: _said(v) for k, v in environment["versions"].items()},
        "commit": _said(environment["commit"]),
        "platform": environment["platform"],
        "device": f"{environment['device']}, {first['cost']['threads']} threads",
        "evaluated": first["finished_at"],
    }
    blocks = [heading("Command"), code(typed), heading("Options of every run"), facts(told)]
    if differing:
        rows = [
            [run.path.name, *(_said(c.get(k)) for k in differing)]
            for run, c in zip(runs, configs, strict=True)
        ]
        blocks += [
            heading("Options that differ"),
            table(["run", *differing], rows, "What each run was given."),
        ]
    return Section("How to repeat it", [*blocks, heading("Versions"), facts(versions)])


def _said(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_said(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return " ".join(_said(item) for item in value)
    return str(value)
