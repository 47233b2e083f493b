import errno
import os
from pathlib import Path

import pytest
import torch
from torch import nn

from experiments.common.errors import UserError
from experiments.running.checkpoints import AtomicCheckpointIO, make_record, read_checkpoint


def whole_checkpoint() -> dict:
    return {"gcnn": make_record("polyp", {"name": "plain"}, {"size": 32}), "state_dict": {}}


class Trap:
    """Unpickling it would make a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def make_wrong_file(kind: str, path: Path) -> None:
    without_study = whole_checkpoint()
    del without_study["gcnn"]["study"]
    if kind == "text":
        path.write_text("epoch,loss\n1,0.5\n")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "truncated":
        torch.save(whole_checkpoint() | {"weight": torch.zeros(1000)}, path)
        path.write_bytes(path.read_bytes()[:2000])
    elif kind == "folder":
        path.mkdir()
    else:
        contents = {
            "a tensor": torch.zeros(3),
            "a whole module": nn.Linear(2, 2),
            "another programme's": {"state_dict": {}, "epoch": 3},
            "another format": {"gcnn": {"format": 99}, "state_dict": {}},
            "without a study": without_study,
        }
        torch.save(contents[kind], path)


@pytest.mark.parametrize(
    "kind",
    [
        "text",
        "empty",
        "truncated",
        "folder",
        "a tensor",
        "a whole module",
        "another programme's",
        "another format",
        "without a study",
    ],
)
def test_a_wrong_file_is_refused_by_name(kind, tmp_path):
    path = tmp_path / "wrong.ckpt"
    make_wrong_file(kind, path)
    with pytest.raises(UserError, match=r"wrong\.ckpt.*checkpoint"):
        read_checkpoint(path)


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(UserError, match=r"nothing\.ckpt: no such"):
        read_checkpoint(tmp_path / "nothing.ckpt")


def test_nothing_in_a_checkpoint_is_run(tmp_path):
    torch.save(whole_checkpoint() | {"trap": Trap(tmp_path / "sprung")}, tmp_path / "evil.ckpt")
    with pytest.raises(UserError, match=r"evil\.ckpt"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "evil.ckpt", weights_only=False)
    assert not (tmp_path / "sprung").exists()


def test_a_full_disk_leaves_the_earlier_checkpoint_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint(whole_checkpoint(), path)
    before = path.read_bytes()

    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"last\.ckpt.*No space left"):
        AtomicCheckpointIO().save_checkpoint(whole_checkpoint() | {"epoch": 2}, path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["last.ckpt"]
