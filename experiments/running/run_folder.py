"""A run folder: one training, with everything needed to repeat, continue and evaluate it.

config.yaml         all options, as the command line takes them with --config
environment.json    versions, platform, commit
split.json          the data: names of the training, validation and test images
metrics.csv         one row an epoch
checkpoints/        last.ckpt and best.ckpt
result.json         only when the training is finished
evaluation/         what the evaluation adds
"""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

import gcnn
from experiments.common.errors import UserError
from experiments.common.files import read_json, read_yaml, write_atomically, write_json

PACKAGES = ("torch", "pytorch-lightning", "monai", "numpy")


@dataclass(frozen=True)
class RunFolder:
    """The files of one run, named as in the head of this module.

    Args:
        path: the folder.
    """

    path: Path

    @property
    def config_file(self) -> Path:
        return self.path / "config.yaml"

    @property
    def split_file(self) -> Path:
        return self.path / "split.json"

    @property
    def metrics_file(self) -> Path:
        return self.path / "metrics.csv"

    @property
    def last(self) -> Path:
        return self.path / "checkpoints" / "last.ckpt"

    @property
    def best(self) -> Path:
        return self.path / "checkpoints" / "best.ckpt"

    @property
    def result_file(self) -> Path:
        return self.path / "result.json"

    @property
    def finished(self) -> bool:
        """Whether the training ran to its end."""
        return self.result_file.exists()

    def config(self) -> dict[str, Any]:
        """The options of this run.

        Raises:
            UserError: the folder holds no run, or its config.yaml is broken.
        """
        if not self.config_file.is_file():
            raise UserError(f"{self.path}: not a run folder (it has no config.yaml)")
        return read_yaml(self.config_file)

    def result(self) -> dict[str, Any]:
        """The outcome of the finished training."""
        return dict(read_json(self.result_file))

    def prepare(self, config: dict[str, Any], free: Collection[str] = ()) -> None:
        """Makes the folder, or checks that it was made with the same options.

        Args:
            config: all options, plain types.
            free: options that may differ when a run continues (they do not change its outcome).

        Raises:
            UserError: the folder holds something else, or a run with other options.
        """
        if self.config_file.exists():
            self._refuse_other_options(config, free)
            return
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"{self.path}: is a file; give a folder for the run")
        # A process that is killed while it writes the first file leaves a hidden one.
        there = sorted(self.path.iterdir()) if self.path.exists() else []
        foreign = [path.name for path in there if not path.name.startswith(".")]
        if foreign:
            raise UserError(
                f"{self.path}: holds other files ({', '.join(foreign[:3])}) and no run; "
                "give a new or empty folder"
            )
        write_json(self.path / "environment.json", describe_environment())
        write_atomically(self.config_file, yaml.safe_dump(config, sort_keys=False))

    def _refuse_other_options(self, config: dict[str, Any], free: Collection[str]) -> None:
        recorded = self.config()
        changes = [
            f"{name}: {recorded.get(name)!r} there, {config.get(name)!r} now"
            for name in {**recorded, **config}
            if name not in free and recorded.get(name) != config.get(name)
        ]
        if changes:
            raise UserError(
                f"{self.path}: holds a run with other options ({', '.join(changes)}); "
                "give the same options to continue it, or another folder"
            )


def describe_environment() -> dict[str, Any]:
    """Versions of what a run depends on, the platform, and the commit if there is one."""
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "versions": {"gcnn": gcnn.__version__} | {name: _version(name) for name in PACKAGES},
        "commit": _commit(),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    root = Path(gcnn.__file__).parents[1]
    # Installed as a package, the folder above may belong to some other repository.
    if not (root / ".git").exists():
        return None
    words = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        answer = subprocess.run(words, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()
