"""Building blocks of a report: one HTML page that carries everything it shows.

Blocks (`paragraph`, `table`, `figure`, ...) are safe HTML, made by the macros of `blocks.html.j2`;
`render_page` puts sections of blocks into `page.html.j2`. The page asks for nothing from outside,
so it can be mailed, archived and opened without a network; its one script moves the frames of
`movable`, and without it all frames are shown.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    "movable",
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
_BLOCKS: Any = _TEMPLATES.get_template("blocks.html.j2").module

paragraph, heading, bullets, code = (
    getattr(_BLOCKS, name) for name in ("paragraph", "heading", "bullets", "code")
)
facts, key_figures = _BLOCKS.facts, _BLOCKS.key_figures


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

    Raises:
        ValueError: two sections have the same title.
    """
    anchors = [section.anchor for section in sections]
    for section in sections:
        if anchors.count(section.anchor) > 1:
            raise ValueError(f"two sections have the title {section.title!r}")
    return _TEMPLATES.get_template("page.html.j2").render(
        title=title, lead=lead, summary=summary, sections=sections, footer=footer
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> Markup:
    """A table; the first column names the row, the others are set as figures."""
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"a row of {len(row)} cells {row!r} under {len(header)} headings")
    return Markup(_BLOCKS.table(header, rows, caption))


def figure(data: bytes, alt: str, caption: str) -> Markup:
    """A picture (PNG or SVG) that travels inside the page; `alt` says in words what it shows."""
    if not alt.strip():
        raise ValueError("a picture needs an alternative text")
    kind = "png" if data.startswith(b"\x89PNG") else "svg+xml"
    return Markup(_BLOCKS.figure(_source(kind, data), alt, caption))


def movable(shown: Sequence[tuple[str, bytes, Mapping[str, Any]]]) -> Markup:
    """Frames of several networks side by side, moved by the same sliders.

    Args:
        shown: of each network its label, the sheet of frames, and `Frames.to_dict`; all with the
            same sliders.
    """
    frames = shown[0][2]
    position, sliders = frames["start"], list[tuple[str, Sequence[str], int]]()
    for name, stops in reversed(frames["sliders"].items()):
        sliders.insert(0, (name, stops, position % len(stops)))
        position //= len(stops)
    sources = [(label, _source("webp", sheet), about) for label, sheet, about in shown]
    return Markup(_BLOCKS.movable(sliders, sources))


def _source(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
