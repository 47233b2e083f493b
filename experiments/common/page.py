"""The report of a study: one HTML page, and a JSON file with every number on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from experiments.common.comparison import EvaluatedRun
from experiments.common.files import write_atomically, write_json
from experiments.common.report import Section, bullets, key_figures, paragraph, render_page

__all__ = ["Page", "lead_of", "write_page"]


@dataclass(frozen=True)
class Page:
    """What a report says.

    Attributes:
        title: of the page.
        lead: the line below it, see `lead_of`.
        findings: sentences, the main one first.
        cards: what it is, the figure, how to read it.
        sections: in their order.
        typed: the command that repeats it.
        numbers: what the studies' own sections show, for the JSON file.
    """

    title: str
    lead: str
    findings: Sequence[str]
    cards: Sequence[tuple[str, str, str]]
    sections: Sequence[Section]
    typed: str
    numbers: Mapping[str, Any]


def lead_of(networks: int, first: EvaluatedRun, samples: str) -> str:
    """The line below the title: how many networks, which data, when.

    Args:
        networks: how many.
        first: of the runs.
        samples: what the test samples are, with their size.
    """
    evaluation = first.evaluation
    return (
        f"{networks} network{'' if networks == 1 else 's'} · {evaluation['config']['dataset']} "
        f"data · {len(evaluation['images'])} test {samples} · {evaluation['finished_at'][:10]}"
    )


def write_page(out: Path | str, page: Page, runs: Sequence[EvaluatedRun]) -> Path:
    """Writes `out/report.html`, which needs no other file, and `out/report.json`.

    Returns:
        The path of the page.
    """
    main, *others = page.findings
    summary = [paragraph(Markup("<strong>{}</strong>").format(main)), bullets(others)]
    html = render_page(
        page.title,
        page.lead,
        [*summary, key_figures(page.cards)],
        page.sections,
        "Every number on this page is also in report.json beside it.",
    )
    numbers = {
        "title": page.title,
        "findings": page.findings,
        "command": page.typed,
        **page.numbers,
        "runs": {str(run.path): dict(run.evaluation) for run in runs},
    }
    target = Path(out) / "report.html"
    write_json(target.with_suffix(".json"), numbers)
    write_atomically(target, html)
    return target
