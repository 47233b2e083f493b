"""Generated sets appear whole or not at all, and options out of range are told by name."""

import pytest
from PIL import Image

from experiments.common.errors import UserError
from experiments.data.generated import polyps, tumours

BOTH = pytest.mark.parametrize("kind", [polyps, tumours])


@BOTH
def test_a_folder_that_holds_anything_is_refused_and_untouched(tmp_path, kind):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty"):
        kind.write_generated(tmp_path, count=3, size=24)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@BOTH
def test_an_interrupted_writing_leaves_nothing(tmp_path, kind, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Image.Image, "save", interrupted)
    monkeypatch.setattr(tumours.nib, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        kind.write_generated(tmp_path / "set", count=3, size=24)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (polyps, {"count": 0}, "--count 0: must be from 1 to 100000"),
        (tumours, {"count": 10**9}, "--count 1000000000: must be from 1 to 100000"),
        (polyps, {"size": 1}, "--size 1: must be at least 2"),
        (polyps, {"size": 10**6}, "--size 1000000: a sample would have 1000000x1000000 points"),
        (tumours, {"size": 19}, "--size 19: must be at least 20"),
        (tumours, {"size": 16000}, "--size 16000: .* GB of memory, .*; [0-9]+ would fit"),
        (tumours, {"spacing": 0.0}, "--spacing 0.0: must be a positive number of millimetres"),
        (tumours, {"spacing": float("nan")}, "--spacing nan: must be a positive number"),
    ],
)
def test_an_option_out_of_range_is_refused_with_its_value(tmp_path, kind, options, message):
    with pytest.raises(UserError, match=message):
        kind.write_generated(tmp_path / "set", **{"count": 1, "size": 24, **options})
    assert list(tmp_path.iterdir()) == []
