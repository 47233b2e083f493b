"""Turn the formulas of a page into MathML while the site is built.

Browsers show MathML by themselves, so the pages need no script and nothing from elsewhere.
"""

import html
import re

from latex2mathml.converter import convert

_FORMULA = re.compile(r'<(span|div) class="arithmatex">\s*\\[(\[](.*?)\\[)\]]\s*</\1>', re.DOTALL)


def on_page_content(content: str, **_: object) -> str:
    """Called by MkDocs with the HTML of every page."""
    return _FORMULA.sub(_mathml, content)


def _mathml(match: re.Match[str]) -> str:
    display = "block" if match[1] == "div" else "inline"
    return convert(html.unescape(match[2]), display=display)
