"""Checkpoint files: written whole or not at all, read without running any code in them."""

from __future__ import annotations

import importlib
import io
import pickle
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning_fabric.plugins.io import TorchCheckpointIO
from torch import nn

from experiments.common.errors import UserError
from experiments.common.files import write_atomically
from experiments.running.run_folder import RunFolder

if TYPE_CHECKING:
    from experiments.running.study import Study

RECORD = "gcnn"
"""The key under which a checkpoint says what it is: format, study, network and options."""

FORMAT = 1


def make_record(study: str, network: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint says: the study that rebuilds its network with these arguments, options."""
    return {"format": FORMAT, "study": study, "network": network, "options": options}


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The contents of a checkpoint written by a study, on the CPU."""
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint file")
    try:
        contents = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        contents = None
    except Exception as error:  # fed with anything else, the unpickler can fail in any way
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"{path}: broken or incomplete checkpoint ({reason})") from None
    record = contents.get(RECORD) if isinstance(contents, dict) else None
    if not isinstance(record, dict) or "state_dict" not in contents:
        raise UserError(
            f"{path}: not a checkpoint of these experiments (it holds more than tensors and plain "
            f"values, or no entry {RECORD!r} that says which network it holds); give a run folder "
            "or its checkpoints/best.ckpt"
        )
    if record.get("format") != FORMAT or not {"study", "network", "options"} <= set(record):
        raise UserError(
            f"{path}: checkpoint format {record.get('format')!r} with {', '.join(record)}; this "
            f"version reads format {FORMAT} with study, network and options"
        )
    return contents


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's own can be interrupted halfway, and may run what is in a checkpoint."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        contents = io.BytesIO()
        torch.save(checkpoint, contents)
        write_atomically(path, contents.getvalue())

    def load_checkpoint(self, path: str | Path, *args: Any, **options: Any) -> dict[str, Any]:
        return read_checkpoint(Path(path))


def broken_weights(state: Mapping[str, Any]) -> str | None:
    """The name of the first tensor that holds NaN or infinite values; None if there is none."""
    tensors = ((name, value) for name, value in state.items() if isinstance(value, torch.Tensor))
    return next((name for name, value in tensors if not torch.isfinite(value).all()), None)


def require_study(path: Path | str, study: str) -> None:
    """Raises `UserError` if a run folder or checkpoint was made by another study."""
    path = Path(path)
    file = RunFolder(path).best if path.is_dir() else path
    made_by = read_checkpoint(file)[RECORD]["study"] if file.is_file() else study
    if made_by != study:
        raise UserError(f"{path}: a run of the study {made_by!r}; give one of {study!r}")


def load_network(path: Path | str, study: Study | None = None) -> tuple[nn.Module, dict[str, Any]]:
    """The network of a run folder (its best) or checkpoint, and the options it was trained with.

    It is in eval mode on the CPU. Without a study, the one that it names is looked for here.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: no such run folder or checkpoint")
    file = RunFolder(path).best if path.is_dir() else path
    if not file.exists():
        raise UserError(f"{path}: not a run folder with a checkpoint (no {file.relative_to(path)})")
    checkpoint = read_checkpoint(file)
    record, state = checkpoint[RECORD], checkpoint["state_dict"]
    if study is not None:
        require_study(file, study.name)
    build = study.build_network if study is not None else _builder(file, record["study"])
    broken = broken_weights(state)
    if broken is not None:
        raise UserError(
            f"{file}: {broken} is NaN or infinite, the training diverged; train again with a "
            "lower --learning_rate"
        )
    arguments, prefix = record["network"], "network."
    try:
        network = build(**arguments)
    except (TypeError, ValueError, UserError) as error:
        raise UserError(f"{file}: cannot rebuild its network {arguments!r}: {error}") from None
    weights = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"{file}: the weights do not fit the network it names: {reason}") from None
    return network.eval(), dict(record["options"])


def _builder(file: Path, study: Any) -> Callable[..., nn.Module]:
    # The name comes from a file, so nothing but a study's own module may be imported for it.
    package = f"experiments.{study}"
    known = isinstance(study, str) and study.isidentifier() and find_spec(package)
    if not known or not find_spec(f"{package}.networks"):
        raise UserError(f"{file}: made by the study {study!r}, which this version does not have")
    return importlib.import_module(f"{package}.networks").build_network
