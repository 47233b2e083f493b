"""The report of the polyp study: one HTML page, and a JSON file with every number on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from experiments.common.files import write_atomically, write_json
from experiments.common.report import bullets, key_figures, paragraph, render_page
from experiments.polyp.comparison import Comparand, compare, load_runs
from experiments.polyp.findings import fixed, headline, sentences, with_spread
from experiments.polyp.repeat import commands, how_to_repeat
from experiments.polyp.sections import accuracy, costs, equivariance, pictures

__all__ = ["write_report"]

TITLE = "Rotation-equivariant polyp segmentation"


def write_report(
    run_dirs: Sequence[Path | str], out: Path | str, command: str | None = None
) -> Path:
    """Writes `out/report.html`, which needs no other file, and `out/report.json`.

    Args:
        run_dirs: evaluated runs on the same data; those that differ in the seed alone are shown as
            one network.
        out: the folder.
        command: what to type to repeat all of it, if it was one command.

    Returns:
        The path of the page.

    Raises:
        UserError: a run has no complete evaluation, or the runs do not compare.
    """
    runs = load_runs(run_dirs)
    networks = compare(runs)
    first = runs[0].evaluation
    findings = [headline(networks), *sentences(networks)]
    typed = command or commands(networks, Path(out))
    sections = [
        equivariance(networks),
        accuracy(networks),
        costs(networks),
        pictures(networks),
        how_to_repeat(networks, typed),
    ]
    config, count = first["config"], len(first["images"])
    lead = (
        f"{len(networks)} network{'' if len(networks) == 1 else 's'} · {config['dataset']} data · "
        f"{count} test images of {config['size']} × {config['size']} pixels · "
        f"{first['finished_at'][:10]}"
    )
    summary = [paragraph(Markup("<strong>{}</strong>").format(findings[0])), bullets(findings[1:])]
    page = render_page(
        TITLE,
        lead,
        [*summary, _cards(networks)],
        sections,
        "Every number on this page is also in report.json beside it.",
    )
    target = Path(out) / "report.html"
    numbers = {
        "title": TITLE,
        "findings": findings,
        "command": typed,
        "angles": networks[0].angles,
        "networks": [network.numbers() for network in networks],
        "runs": {str(run.path): dict(run.evaluation) for run in runs},
    }
    write_json(target.with_suffix(".json"), numbers)
    write_atomically(target, page)
    return target


def _cards(networks: Sequence[Comparand]) -> Markup:
    return key_figures(
        [
            (
                network.label,
                fixed(network.turned("agreement", "turned")["mean"]),
                "agreement when turned, mean over all angles; "
                f"Dice {with_spread(network.score('dice'))}",
            )
            for network in networks
        ]
    )
