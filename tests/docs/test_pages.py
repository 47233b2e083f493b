"""The code on the pages runs, and prints what the pages say it prints."""

import contextlib
import doctest
import io
import itertools
import re

import pytest

from tests.docs.pages import PAGES, blocks_of, name_of

_LENIENT = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
_MEASURED = re.compile(r"\d\.\d+e[+-]\d\d|\de[+-]\d\d")
_ROUNDING = 1e-4


def agrees(page, printed):
    """Whether a page shows what is printed.

    `...` on the page stands for anything. Figures like 1.2e-03 are measured: they may differ by a
    half from machine to machine, and by more where they are rounding error.
    """
    checker = doctest.OutputChecker()
    masked = (_MEASURED.sub("#", text) for text in (page, printed))
    if not checker.check_output(*masked, _LENIENT):
        return False
    shown, found = (list(map(float, _MEASURED.findall(text))) for text in (page, printed))
    return "..." in page or all(
        max(a, b) < _ROUNDING or 2 / 3 < a / b < 3 / 2 for a, b in zip(shown, found, strict=True)
    )


def run_page(markdown, name):
    """Run the python blocks of a page one after the other, like cells of a notebook.

    A text block right after one is its expected output, where `...` stands for anything.
    """
    namespace = {"__name__": "__main__"}
    for block, following in itertools.pairwise([*blocks_of(markdown), None]):
        if block.language != "python":
            continue
        printed = io.StringIO()
        # Line numbers of the page, so that a traceback points into it.
        code = compile("\n" * (block.line - 1) + block.text, name, "exec")
        with contextlib.redirect_stdout(printed):
            exec(code, namespace)
        if following is not None and following.language == "text":
            matches = agrees(following.text, printed.getvalue())
            assert matches, f"{name}, line {following.line}: the code prints\n{printed.getvalue()}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_code_on_the_page_runs_and_prints_what_the_page_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page(page.read_text(), name_of(page))


def test_blocks_of_a_page_share_their_names_and_their_output_is_compared():
    page = "```python\na = 1\n```\ntext\n```python\nprint(a)\n```\n```text\n{}\n```\n"
    run_page(page.format(1), "page")
    with pytest.raises(AssertionError, match=r"page, line 9: the code prints\s+1"):
        run_page(page.format(2), "page")


def test_a_fault_points_to_its_line_on_the_page():
    with pytest.raises(ZeroDivisionError) as caught:
        run_page("one\n\n```python\n1 / 0\n```\n", "page")
    assert caught.traceback[-1].lineno + 1 == 4


@pytest.mark.parametrize(
    ("page", "printed", "same"),
    [
        ("error 2.1e-03\n", "error 2.4e-03\n", True),
        ("error 2.1e-03\n", "error 4.4e-03\n", False),
        ("error 1e-15\n", "error 0e+00\n", True),
        ("error 2.1e-03\n", "floor 2.1e-03\n", False),
        ("error ...\n", "error 1 of 2\n", True),
    ],
)
def test_measured_figures_are_compared_with_a_tolerance(page, printed, same):
    assert agrees(page, printed) is same
