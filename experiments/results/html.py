"""Building blocks of a report: one HTML page that carries everything it shows.

Blocks (`paragraph`, `table`, `figure`, ...) are safe HTML; whatever text they are given is escaped.
`render_page` puts sections of blocks into the template beside this file. The page asks
for nothing from outside, so it can be mailed, archived and opened without a network; its one script
moves the frames of `movable`, and without it all frames are shown.
"""

import base64
import json
import math
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
    return _TEMPLATES.get_template("page.html.j2").render(
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


def movable(shown: Sequence[tuple[str, bytes, Mapping[str, Any]]]) -> Markup:
    """Frames of several networks side by side, moved by the same sliders.

    Args:
        shown: of each network its label, the sheet of frames, and `Frames.to_dict`; all with the
            same sliders.
    """
    sliders: dict[str, list[str]] = shown[0][2]["sliders"]
    position, stride, controls = shown[0][2]["start"], 1, []
    for name, stops in reversed(sliders.items()):
        value = position // stride % len(stops)
        stride *= len(stops)
        controls.append(
            Markup(
                '<label><span>{}</span><input type="range" min="0" max="{}" value="{}" '
                'data-stops="{}"><output>{}</output></label>'
            ).format(name, len(stops) - 1, value, json.dumps(stops), stops[value])
        )
    figures = []
    for label, sheet, frames in shown:
        width, height = frames["size"]
        rows = math.ceil(len(frames["said"]) / frames["columns"])
        said = frames["said"][frames["start"]]
        figures.append(
            Markup(
                '<figure data-size="{} {}" data-columns="{}" data-said="{}" data-name="{}">'
                '<img src="data:image/webp;base64,{}" width="{}" height="{}" alt="{}">'
                "<figcaption><strong>{}</strong> <span>{}</span></figcaption></figure>"
            ).format(
                *(width, height, frames["columns"], json.dumps(frames["said"])),
                f"{label}, {frames['case']}",
                base64.b64encode(sheet).decode("ascii"),
                *(width * frames["columns"], height * rows),
                f"All {len(frames['said'])} frames of {frames['case']} for {label}. The first one "
                f"shown: {said}",
                *(f"{label}, {frames['case']}", ""),
            )
        )
    return Markup(
        '<div class="movable"><div class="controls" hidden>{}</div>'
        '<div class="frames">{}</div></div>'
    ).format(Markup("").join(reversed(controls)), Markup("").join(figures))
