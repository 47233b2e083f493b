"""Files are written whole or not at all, and JSON survives the round trip."""

import errno
import json
import os
import resource
import stat
from pathlib import Path

import numpy as np
import pytest

from experiments.common.errors import UserError
from experiments.common.files import new_folder, read_json, write_atomically, write_json


def full_disk(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def interrupt(*_, **__):
    raise KeyboardInterrupt


@pytest.mark.parametrize("data", [b"\x00\xff", "größer"])
def test_what_is_written_is_read_back(tmp_path, data):
    path = tmp_path / "new" / "file"
    write_atomically(path, data)
    expected = data.encode("utf-8") if isinstance(data, str) else data
    assert path.read_bytes() == expected


def test_a_written_file_has_the_ordinary_permissions(tmp_path):
    (tmp_path / "ordinary").write_text("")
    write_atomically(tmp_path / "file", "")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ordinary", "file")}
    assert len(modes) == 1


@pytest.mark.parametrize(("owner", "step"), [(os, "fsync"), (Path, "replace")])
def test_a_full_disk_is_told_by_name_and_leaves_the_earlier_file(
    tmp_path, monkeypatch, owner, step
):
    path = tmp_path / "result.json"
    write_atomically(path, "earlier")
    monkeypatch.setattr(owner, step, full_disk)
    with pytest.raises(UserError, match=r"result\.json cannot be written: No space left"):
        write_atomically(path, "later")
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_stops_halfway_leaves_the_earlier_file(tmp_path):
    path = tmp_path / "result.json"
    path.write_text("earlier")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(UserError, match=r"result\.json cannot be written"):
            write_atomically(path, b"x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_a_parent_that_is_a_file_is_told_by_name(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"result\.json cannot be written"):
        write_atomically(tmp_path / "file" / "result.json", "later")


@pytest.mark.parametrize(("owner", "step"), [(os, "fsync"), (Path, "replace")])
def test_an_interrupted_write_leaves_the_earlier_file_and_nothing_else(
    tmp_path, monkeypatch, owner, step
):
    path = tmp_path / "result.json"
    write_atomically(path, "earlier")
    monkeypatch.setattr(owner, step, interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, "later")
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_folder_appears_only_when_complete(tmp_path):
    path = tmp_path / "data"
    with new_folder(path) as folder:
        (folder / "a").write_text("a")
        assert not path.exists()
    assert [child.name for child in path.iterdir()] == ["a"]
    assert list(tmp_path.iterdir()) == [path]


def test_an_empty_folder_may_be_filled(tmp_path):
    with new_folder(tmp_path / "data") as folder:
        (folder / "a").write_text("a")
    (tmp_path / "empty").mkdir()
    with new_folder(tmp_path / "empty") as folder:
        (folder / "a").write_text("a")
    assert (tmp_path / "empty" / "a").exists()


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), UserError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_folder_that_could_not_be_filled_leaves_nothing(tmp_path, fault, raised):
    def fill_and_fail():
        with new_folder(tmp_path / "data") as folder:
            (folder / "a").write_text("a")
            raise fault

    with pytest.raises(raised):
        fill_and_fail()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_refused_and_untouched(tmp_path):
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(UserError, match="is not empty"), new_folder(tmp_path):
        pytest.fail("the block must not run")
    with pytest.raises(UserError, match="is a file"), new_folder(tmp_path / "precious"):
        pytest.fail("the block must not run")
    assert (tmp_path / "precious").read_text() == "mine"


def test_json_survives_the_round_trip(tmp_path):
    value = {"dice": [0.5, 1], "name": "größer", "none": None, "nested": {"yes": True}}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value


def test_numpy_paths_and_non_finite_numbers_become_strict_json(tmp_path):
    value = {
        "array": np.eye(2),
        "count": np.int64(3),
        "nan": float("nan"),
        "inf": np.float32("inf"),
        "path": Path("a") / "b",
        "pair": (1, 2),
    }
    write_json(tmp_path / "a.json", value)

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    read = json.loads((tmp_path / "a.json").read_text(), parse_constant=refuse)
    assert read == {
        "array": [[1.0, 0.0], [0.0, 1.0]],
        "count": 3,
        "nan": None,
        "inf": None,
        "path": "a/b",
        "pair": [1, 2],
    }


def test_a_value_without_a_json_form_leaves_the_earlier_file(tmp_path):
    write_json(tmp_path / "a.json", 1)
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"x": object()})
    assert read_json(tmp_path / "a.json") == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "does not exist"), (b"{", "is not a JSON file"), (b"\xff\xfe", "is not a JSON file")],
)
def test_missing_or_broken_json_is_told_by_name(tmp_path, content, message):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=rf"a\.json {message}"):
        read_json(path)


def test_a_folder_is_no_json_file(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_json(tmp_path)
