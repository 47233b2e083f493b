"""The files and folders that the pages name are there."""

import re

import pytest

from tests.docs.pages import PAGES, ROOT, name_of

_TOP = "gcnn|experiments|benchmarks|scripts|tests|docs"
_PATH = re.compile(rf"(?<![\w/.-])(?:{_TOP})/[\w./-]*\w")
_LINK = re.compile(r"\]\((?!\w+:)([\w./-]+\.\w+)[)#]")
NAMING = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "benchmarks/README.md"]


def missing_from(text, folder):
    """The project paths that a page names, and the targets of its links, that do not exist."""
    paths = [path for path in _PATH.findall(text) if not (ROOT / path).exists()]
    return paths + [link for link in _LINK.findall(text) if not (folder / link).exists()]


@pytest.mark.parametrize("page", NAMING, ids=name_of)
def test_what_the_page_names_exists(page):
    assert missing_from(page.read_text(), page.parent) == []


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("python -m pytest tests/groups -m slow", ["tests/groups"]),
        ("put it in `gcnn/groups/`, see gcnn/filters/basis.py.", []),
        ("in `gcnn/teapots/`", ["gcnn/teapots"]),
        ("[Add a group](docs/missing.md) or [one](#one)", ["docs/missing.md"] * 2),
        ("[Add a group](docs/add-a-group.md#example)", []),
        ("the runs in runs/tests/one and /data/docs/two", []),
    ],
)
def test_a_path_that_does_not_exist_is_found(text, missing):
    assert missing_from(text, ROOT) == missing
