"""Building blocks of a report: one HTML page that carries everything it shows.

Blocks (`paragraph`, `table`, `figure`, ...) are safe HTML; whatever text they are given is escaped.
`render_page` puts sections of blocks into the template beside this file. The page has no script and
asks for nothing from outside, so it can be mailed, archived and opened without a network.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

__all__ = [
    "Section",
    "bullets",
    "code",
    "facts",
    "figure",
    "heading",
    "key_figures",
    "paragraph",
    "render_page",
    "table",
]

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Section:
    """A titled part of the page; `blocks` are the safe HTML that the functions here return."""

    title: str
    blocks: Sequence[Markup]

    @property
    def anchor(self) -> str:
        """The title as a link target."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


def render_page(
    title: str, lead: str, summary: Sequence[Markup], sections: Sequence[Section], footer: str
) -> str:
    """The page as HTML; with more than three sections it has a table of contents.

    Args:
        title: of the page.
        lead: the line below the title.
        summary: the blocks above the sections: what a reader in a hurry takes away.
        sections: in their order.
        footer: the last line.

    Raises:
        ValueError: two sections have the same title.
    """
    anchors = [section.anchor for section in sections]
    for section in sections:
        if anchors.count(section.anchor) > 1:
            raise ValueError(f"two sections have the title {section.title!r}")
    return _TEMPLATES.get_template("report.html.j2").render(
        title=title, lead=lead, summary=summary, sections=sections, footer=footer
    )


def paragraph(text: str | Markup) -> Markup:
    """A paragraph of text."""
    return Markup("<p>{}</p>").format(text)


def heading(text: str) -> Markup:
    """A heading within a section."""
    return Markup("<h3>{}</h3>").format(text)


def bullets(items: Sequence[str | Markup]) -> Markup:
    """A list of points."""
    rows = Markup("").join(Markup("<li>{}</li>").format(item) for item in items)
    return Markup("<ul>{}</ul>").format(rows)


def code(text: str) -> Markup:
    """A command or a file, as it is typed."""
    return Markup('<pre tabindex="0"><code>{}</code></pre>').format(text)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> Markup:
    """A table; the first column names the row, the others are set as figures."""
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"a row of {len(row)} cells {row!r} under {len(header)} headings")
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(cell) for cell in header)
    body = Markup("").join(
        Markup('<tr><th scope="row">{}</th>{}</tr>').format(
            row[0], Markup("").join(Markup("<td>{}</td>").format(cell) for cell in row[1:])
        )
        for row in rows
    )
    return Markup(
        '<div class="scroll" tabindex="0"><table><caption>{}</caption><thead><tr>{}</tr></thead>'
        "<tbody>{}</tbody></table></div>"
    ).format(caption, head, body)


def facts(pairs: Mapping[str, str]) -> Markup:
    """Names and what they stand for."""
    rows = Markup("").join(
        Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(name, value)
        for name, value in pairs.items()
    )
    return Markup("<dl>{}</dl>").format(rows)


def key_figures(cards: Sequence[tuple[str, str, str]]) -> Markup:
    """Cards of (what it is, the figure, how to read it)."""
    body = Markup("").join(
        Markup(
            '<div class="card"><span class="name">{}</span><span class="value">{}</span>'
            '<span class="note">{}</span></div>'
        ).format(*card)
        for card in cards
    )
    return Markup('<div class="cards">{}</div>').format(body)


def figure(data: bytes, alt: str, caption: str) -> Markup:
    """A picture (PNG or SVG) that travels inside the page; `alt` says in words what it shows."""
    if not alt.strip():
        raise ValueError("a picture needs an alternative text")
    kind = "image/png" if data.startswith(b"\x89PNG") else "image/svg+xml"
    source = f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
    note = Markup("<figcaption>{}</figcaption>").format(caption) if caption else Markup("")
    return Markup(
        '<figure><div class="scroll" tabindex="0"><img src="{}" alt="{}"></div>{}</figure>'
    ).format(source, alt, note)
