"""The building blocks of a page: escaped, self-contained, complete."""

import re

import pytest
from markupsafe import Markup

from experiments.results.html import (
    Section,
    bullets,
    code,
    facts,
    figure,
    heading,
    key_figures,
    movable,
    paragraph,
    render_page,
    table,
)

EVIL = "<script>alert('x')</script>"
FRAMES = {
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
        paragraph(EVIL),
        heading(EVIL),
        bullets([EVIL]),
        code(EVIL),
        table([EVIL, "b"], [[EVIL, EVIL]], EVIL),
        facts({EVIL: EVIL}),
        key_figures([(EVIL, EVIL, EVIL)]),
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


def test_a_picture_without_an_alternative_text_is_refused() -> None:
    with pytest.raises(ValueError, match="alternative text"):
        figure(b"<svg/>", " ", "caption")


def test_a_row_that_does_not_fit_its_header_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a row of 1 cells .* under 2 headings"):
        table(["a", "b"], [["only"]], "caption")


def page(*titles: str) -> str:
    sections = [Section(title, [paragraph(f"about {title}")]) for title in titles]
    return render_page("The title", "The lead", [paragraph("In short")], sections, "The end")


def test_the_page_holds_everything_in_order() -> None:
    html = page("First", "Second part")
    told = ["<h1>The title</h1>", "The lead", "In short", "about First", "about Second", "The end"]
    positions = [html.index(text) for text in told]
    assert positions == sorted(positions)


def test_a_long_page_has_a_table_of_contents_that_leads_to_its_sections() -> None:
    assert "<nav" not in page("a", "b", "c")
    html = page("a", "b", "c", "How to repeat it")
    targets = re.findall(r'<a href="#([^"]+)"', html)
    assert targets == ["a", "b", "c", "how-to-repeat-it"]
    assert all(f'id="{target}"' in html for target in targets)


def test_two_sections_of_the_same_title_are_refused() -> None:
    with pytest.raises(ValueError, match="two sections have the title 'a'"):
        page("a", "a")


def test_the_page_needs_nothing_from_outside() -> None:
    html = page("a", "b", "c", "d")
    assert html.count("<script") == 1 and "<script>" in html
    assert not any(word in html for word in ("@import", "url(", "fetch(", "import("))
    links = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert links and all(link.startswith(("#", "data:")) for link in links)
