"""The building blocks of a page: escaped, self-contained, complete."""

import re
from typing import Any

import pytest
from markupsafe import Markup

from experiments.results.html import BLOCKS, figure, movable, table

EVIL = "<script>alert('x')</script>"
FRAMES: dict[str, Any] = {
    "case": EVIL,
    "sliders": {EVIL: [EVIL, "1"]},
    "start": 0,
    "size": [4, 3],
    "columns": 2,
    "said": [EVIL, ""],
}


@pytest.mark.parametrize(
    "block",
    [
        BLOCKS.bullets([EVIL]),
        table([EVIL, "b"], [[EVIL, EVIL]], EVIL),
        BLOCKS.facts({EVIL: EVIL}),
        BLOCKS.key_figures([(EVIL, EVIL, EVIL)]),
        figure(b"<svg/>", EVIL + '"', EVIL),
        movable([(EVIL, b"RIFF", FRAMES)]),
    ],
)
def test_text_is_never_taken_for_html(block: Markup) -> None:
    assert "<script" not in block
    assert "&lt;script&gt;" in block


def test_a_quote_in_an_alternative_text_does_not_end_it() -> None:
    assert re.search(r'alt="say &#34;hello&#34;"', figure(b"<svg/>", 'say "hello"', ""))


def test_pictures_travel_inside_the_page_as_what_they_are() -> None:
    assert 'src="data:image/svg+xml;base64,PHN2Zy8+"' in figure(b"<svg/>", "a figure", "")
    assert 'src="data:image/png;base64,' in figure(b"\x89PNG\r\n", "a figure", "")


def test_every_slider_starts_where_its_part_of_the_first_frame_is() -> None:
    said = [f"{a} {b}" for a in "xyz" for b in "12"]
    frames = FRAMES | {"sliders": {"a": "xyz", "b": "12"}, "start": 5, "said": said}
    assert re.findall(r' value="(\d)"', movable([("net", b"RIFF", frames)])) == ["2", "1"]


def test_a_row_that_does_not_fit_its_header_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a row of 1 cells .* under 2 headings"):
        table(["a", "b"], [["only"]], "caption")
