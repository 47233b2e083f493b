"""A run folder: one training, with everything needed to repeat, continue and evaluate it.

config.yaml         all options, as the command line takes them with --config
environment.json    versions, platform, commit
split.json          the data: names of the training, validation and test images
metrics.csv         one row an epoch
checkpoints/        last.ckpt and best.ckpt
result.json         only when the training is finished
evaluation/         what the evaluation adds
"""

import platform
import subprocess
import sys
from collections.abc import Collection, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

import gcnn
from experiments.common.errors import UserError
from experiments.common.files import read_json, read_yaml, write_atomically, write_json


class RunFolder:
    """The files of one run, as in the head of this module."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.config_file = self.path / "config.yaml"
        self.split_file = self.path / "split.json"
        self.metrics_file = self.path / "metrics.csv"
        self.last = self.path / "checkpoints" / "last.ckpt"
        self.best = self.path / "checkpoints" / "best.ckpt"
        self.result_file = self.path / "result.json"

    @property
    def finished(self) -> bool:
        return self.result_file.exists()

    def config(self) -> dict[str, Any]:
        """The options of this run."""
        if not self.config_file.is_file():
            raise UserError(f"{self.path}: not a run folder (it has no config.yaml)")
        return read_yaml(self.config_file)

    def result(self) -> dict[str, Any]:
        """The outcome of the finished training."""
        return dict(read_json(self.result_file))

    def prepare(
        self,
        config: dict[str, Any],
        free: Collection[str] = (),
        defaults: Mapping[str, Any] | None = None,
    ) -> None:
        """Makes the folder, or checks that it was made with the same options but for `free` ones.

        `defaults` stand for options that were not recorded: there were none when it was made.
        """
        if self.config_file.exists():
            there, now = {**(defaults or {}), **self.config()}, {**(defaults or {}), **config}
            changes = [
                f"{name}: {there.get(name)!r} there, {now.get(name)!r} now"
                for name in {**there, **now}
                if name not in free and there.get(name) != now.get(name)
            ]
            if changes:
                raise UserError(
                    f"{self.path}: holds a run with other options ({', '.join(changes)}); "
                    "give the same options to continue it, or another folder"
                )
            return
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"{self.path}: is a file; give a folder for the run")
        # A process that is killed while it writes the first file leaves a hidden one.
        names = sorted(path.name for path in self.path.glob("*") if path.name[0] != ".")
        if names:
            raise UserError(
                f"{self.path}: holds other files ({', '.join(names[:3])}) and no run; "
                "give a new or empty folder"
            )
        write_json(self.path / "environment.json", describe_environment())
        write_atomically(self.config_file, yaml.safe_dump(config, sort_keys=False))


def describe_environment() -> dict[str, Any]:
    """Versions of what a run depends on, the platform, and the commit if there is one."""
    versions: dict[str, str | None] = {"gcnn": gcnn.__version__}
    for package in ("torch", "pytorch-lightning", "monai", "numpy"):
        with suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    root, commit = Path(gcnn.__file__).parents[1], None
    # Installed as a package, the folder above may belong to some other repository.
    if (root / ".git").exists():
        words = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"]
        with suppress(OSError, subprocess.CalledProcessError):
            commit = subprocess.check_output(words, text=True, stderr=subprocess.DEVNULL).strip()
    python = sys.version.split()[0]
    return {
        "python": python,
        "platform": platform.platform(),
        "versions": versions,
        "commit": commit,
    }
