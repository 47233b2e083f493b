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

import importlib
import importlib.util
import platform
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml
from torch import nn

import gcnn
from experiments.common.checkpoints import RECORD, read_checkpoint
from experiments.common.errors import UserError
from experiments.common.files import read_json, write_atomically, write_json

PACKAGES = ("torch", "pytorch-lightning", "monai", "numpy")


@dataclass(frozen=True)
class RunFolder:
    """The files of one run.

    Args:
        path: the folder.
    """

    path: Path

    @property
    def config_file(self) -> Path:
        """All options."""
        return self.path / "config.yaml"

    @property
    def split_file(self) -> Path:
        """The names of the images of each part of the data."""
        return self.path / "split.json"

    @property
    def metrics_file(self) -> Path:
        """One row an epoch."""
        return self.path / "metrics.csv"

    @property
    def last(self) -> Path:
        """The checkpoint of the last completed epoch."""
        return self.path / "checkpoints" / "last.ckpt"

    @property
    def best(self) -> Path:
        """The checkpoint of the epoch with the best validation score."""
        return self.path / "checkpoints" / "best.ckpt"

    @property
    def result_file(self) -> Path:
        """The outcome, written when the training is finished."""
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
        try:
            config = yaml.safe_load(self.config_file.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(f"{self.config_file}: broken YAML ({error})") from None
        if not isinstance(config, dict):
            raise UserError(f"{self.config_file}: expected option: value lines")
        return config

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
        foreign = [] if not self.path.exists() else sorted(p.name for p in self.path.iterdir())
        # Temporary files are left behind when a process is killed while it writes the first file.
        foreign = [name for name in foreign if not name.startswith(".")]
        if foreign:
            raise UserError(
                f"{self.path}: holds other files ({', '.join(foreign[:3])}) and no run; "
                "give a new or empty folder"
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{self.path}: cannot make the folder ({error.strerror})") from None
        write_json(self.path / "environment.json", describe_environment())
        write_atomically(self.config_file, yaml.safe_dump(config, sort_keys=False))

    def _refuse_other_options(self, config: dict[str, Any], free: Collection[str]) -> None:
        recorded = self.config()
        names = [name for name in {**recorded, **config} if name not in free]
        differing = [name for name in names if recorded.get(name) != config.get(name)]
        if differing:
            changes = ", ".join(
                f"{name}: {recorded.get(name)!r} there, {config.get(name)!r} now"
                for name in differing
            )
            raise UserError(
                f"{self.path}: holds a run with other options ({changes}); "
                "give the same options to continue it, or another folder"
            )


def describe_environment() -> dict[str, Any]:
    """Versions of what a run depends on, the platform, and the commit if there is one."""
    versions: dict[str, str | None] = {"gcnn": gcnn.__version__}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "versions": versions,
        "commit": _commit(),
    }


def _commit() -> str | None:
    root = Path(gcnn.__file__).parents[1]
    # Installed as a package, the folder above may belong to some other repository.
    if not (root / ".git").exists():
        return None
    try:
        answer = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()


def load_network(path: Path | str) -> tuple[nn.Module, dict[str, Any]]:
    """The trained network of a run, in eval mode on the CPU, and the options it was trained with.

    Args:
        path: a run folder (its best checkpoint is taken) or a checkpoint file.

    Raises:
        UserError: it is neither, or the network cannot be rebuilt from it.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: no such run folder or checkpoint")
    file = RunFolder(path).best if path.is_dir() else path
    if not file.exists():
        raise UserError(f"{path}: not a run folder with a checkpoint (no {file.relative_to(path)})")
    checkpoint = read_checkpoint(file)
    record = checkpoint[RECORD]
    network = _rebuild(file, record["study"], record["network"])
    prefix = "network."
    weights = {
        name.removeprefix(prefix): value
        for name, value in checkpoint["state_dict"].items()
        if name.startswith(prefix)
    }
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"{file}: the weights do not fit the network it names: {reason}") from None
    return network.eval(), dict(record["options"])


def _rebuild(file: Path, study: Any, arguments: Any) -> nn.Module:
    # The name comes from a file, so nothing but a study's own module may be imported for it.
    module = f"experiments.{study}.networks"
    known = (
        isinstance(study, str)
        and study.isidentifier()
        and importlib.util.find_spec(f"experiments.{study}")
    )
    if not known:
        raise UserError(f"{file}: made by the study {study!r}, which this version does not have")
    try:
        network = importlib.import_module(module).build_network(**arguments)
    except (TypeError, ValueError, UserError) as error:
        raise UserError(f"{file}: cannot rebuild its network {arguments!r}: {error}") from None
    if not isinstance(network, nn.Module):
        raise UserError(f"{file}: {module} built no network from {arguments!r}")
    return network
