"""The report as one HTML page that carries everything it shows.

`report.html.j2` tells the report, in blocks (tables, figures, ...) of `blocks.html.j2`, inside
`page.html.j2`. All text is escaped. The page asks for nothing from outside, so it can be mailed,
archived and opened without a network; its one script moves the frames of `movable`, and without it
all frames are shown.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _source(data: bytes) -> str:
    kinds = {b"\x89PNG": "png", b"RIFF": "webp"}
    kind = kinds.get(data[:4], "svg+xml")
    return f"data:image/{kind};base64,{b64encode(data).decode('ascii')}"


_TEMPLATES.filters["source"] = _source
BLOCKS: Any = _TEMPLATES.get_template("blocks.html.j2").module


def render(template: str, **content: Any) -> str:
    """A template of this folder, filled in."""
    return _TEMPLATES.get_template(template).render(content)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> Markup:
    """A table; the first column names the row, the others are set as figures."""
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"a row of {len(row)} cells {row!r} under {len(header)} headings")
    return Markup(BLOCKS.table(header, rows, caption))


def figure(data: bytes, alt: str, caption: str) -> Markup:
    """A picture (PNG or SVG) that travels inside the page; `alt` says in words what it shows."""
    return Markup(BLOCKS.figure(data, alt, caption))


def movable(shown: Sequence[tuple[str, bytes, Mapping[str, Any]]]) -> Markup:
    """Label, sheet and `Frames.to_dict` of networks, side by side under the same sliders."""
    first = shown[0][2]
    stops = first["sliders"].values()
    places = np.unravel_index(first["start"], [len(slider) for slider in stops])
    sliders = zip(first["sliders"], stops, map(int, places), strict=True)
    return Markup(BLOCKS.movable(list(sliders), shown))
