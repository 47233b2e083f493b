"""The code on the pages runs, and prints what the pages say it prints."""

import contextlib
import doctest
import io
import itertools

import pytest

from tests.docs.pages import PAGES, blocks_of, name_of

_LENIENT = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


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
            matches = doctest.OutputChecker().check_output(
                following.text, printed.getvalue(), _LENIENT
            )
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
