"""The fenced blocks of a Markdown page."""

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*).*\n(?P<code>(?:.*\n)*?)(?P=indent)```", re.M
)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the line of the page where its text starts."""

    language: str
    text: str
    line: int


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks_of(markdown: str) -> list[Block]:
    """All fenced blocks of a page, in order; those inside lists and tabs are dedented."""
    return [
        Block(
            match["language"],
            textwrap.dedent(match["code"]),
            markdown.count("\n", 0, match.start("code")) + 1,
        )
        for match in _FENCE.finditer(markdown)
    ]
