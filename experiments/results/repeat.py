"""How to repeat a study: what to type, the options, and the versions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.command_line.options import Options
from experiments.command_line.typed import command
from experiments.results.runs import Comparison


def commands(c: Comparison, out: Path) -> str:
    """What to type to train, evaluate and report the runs anew."""
    study, lines = c.study, []
    runs = [run for network in c.networks for run in network.runs]
    for run in runs:
        config, options = run.evaluation["config"], run.evaluation["options"]
        lines.append(command(study.name, "train", study.train, {"out": run.path, **config}))
        lines.append(command(study.name, "evaluate", study.evaluate, {"run": run.path, **options}))
    paths = [run.path for run in runs]
    return "\n".join([*lines, command(study.name, "report", Options, {"runs": paths, "out": out})])


def how_to_repeat(c: Comparison) -> dict[str, Any]:
    """The options that all runs share, header and rows of those that differ, and the versions."""
    records = [run.evaluation for network in c.networks for run in network.runs]
    configs = {
        run.path.name: run.evaluation["config"] for network in c.networks for run in network.runs
    }
    values = {k: {_said(c.get(k)) for c in configs.values()} for c in configs.values() for k in c}
    split, environment = c.first["split"], c.first["environment"]
    seeds, trained = (sorted({r["split"][key] for r in records}) for key in ("seed", "train"))
    shared = {
        "split": f"{split['kind']}, seed {_said(seeds)}: {_said(trained)} training, "
        f"{split['validation']} validation and {split['test']} test {c.study.sample}s",
        **{k: said.copy().pop() for k, said in values.items() if len(said) == 1 and k != "split"},
    }
    differing = sorted(k for k, said in values.items() if len(said) > 1)
    rows = [[run, *(_said(config.get(k)) for k in differing)] for run, config in configs.items()]
    versions = {
        "python": environment["python"],
        **{k: _said(v) for k, v in environment["versions"].items()},
        **{k: _said(environment[k]) for k in ("commit", "platform")},
        "device": f"{environment['device']}, {c.first['cost']['threads']} threads",
        "evaluated": c.first["finished_at"],
    }
    return {"shared": shared, "differing": (["run", *differing], rows), "versions": versions}


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_said(item)}" for key, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " ".join(map(_said, value))
    return "none" if value is None else str(value)
