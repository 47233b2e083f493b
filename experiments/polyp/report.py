"""What the report of the polyp study says; the page itself is made by `experiments.results`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from experiments.polyp.evaluate import BASE, EvaluationOptions
from experiments.polyp.rotation import PROTOCOL
from experiments.polyp.train import TrainOptions
from experiments.results import report
from experiments.results.runs import Comparison
from experiments.results.study import Commutation, Protocol, StudyReport
from experiments.results.words import fixed, listing

__all__ = ["STUDY", "headline", "main_figures", "write_report"]

_QUARTER, _BETWEEN = "90°, 180°, 270°", "other angles"
_EXACT, _NEARLY = 1 - 1e-9, 0.9995


def part(angle: float) -> str:
    """Upright, a multiple of 90°, where pixels are permuted, or between, where they are not."""
    return "0°" if angle == 0 else _BETWEEN if angle % 90 else _QUARTER


def headline(study: StudyReport, c: Comparison) -> str:
    """Whether masks turn with the image at multiples of 90°, exactly, nearly or not."""
    angles = study.parts(c.table, PROTOCOL)[_QUARTER]
    found = {n: c.score(n, "agreement", protocol=PROTOCOL, at=angles) for n in c.fullest}
    exact = [n for n, e in found.items() if e.worst >= _EXACT]
    nearly = [n for n, e in found.items() if n not in exact and e.mean >= _NEARLY]
    others = [n for n in found if n not in (*exact, *nearly)]

    def changes(names: Sequence[str]) -> str:
        return "; ".join(
            f"{n} {fixed(found[n].mean)} on average, {fixed(found[n].worst)} for the worst image"
            for n in names
        )

    said = []
    if exact:
        said.append(
            f"{listing(exact)}: turning the image by 90°, 180° or 270° turns the mask exactly, on "
            "every test image."
        )
    if nearly:
        said.append(
            f"{listing(nearly)}: turning the image by 90°, 180° or 270° turns the mask, but for "
            f"single pixels that rounding tips: {changes(nearly)}."
        )
    if others:
        start = (
            f"The masks of the other network{'s' if len(others) > 1 else ''} change"
            if exact or nearly
            else "Turning the image by 90°, 180° or 270° changes the masks"
        )
        measure = "(Dice between the turned mask and the mask of the turned image)"
        said.append(f"{start}: {changes(others)} {measure}.")
    return " ".join(said)


STUDY = StudyReport(
    name="polyp",
    title="Rotation-equivariant segmentation of images",
    sample="image",
    train=TrainOptions,
    evaluate=EvaluationOptions,
    settings=("dataset", "size", "split"),
    base=BASE,
    metrics={"dice": "Dice", "iou": "IoU", "precision": "precision", "recall": "recall"},
    transformation="Rotation",
    axis="angle in degrees",
    part=part,
    distance=lambda angle: int(angle != 0) + int(angle % 90 != 0),
    protocols=[
        Protocol(
            PROTOCOL,
            "Turned images",
            "The image and its true mask are turned, counter-clockwise, and compared inside the "
            "inscribed disc. Multiples of 90° permute the pixels and are exact; at other angles "
            "the image is interpolated.",
        )
    ],
    commutation=Commutation(
        PROTOCOL,
        "Equivariance",
        "Does the mask turn with the image? The mask of the turned image is compared with the "
        "turned mask of the upright image, inside the inscribed disc, by the Dice coefficient. It "
        "is seen without the truth, and 1 for an equivariant network. The dotted line is a mask "
        "turned there and back: what interpolation alone costs, twice, so a curve may lie above "
        "it. Two empty masks are left out: they agree, but say nothing.",
        {"agreement": "agreement of the masks (Dice)"},
        "control",
    ),
    legend="Green: the true mask. Blue: the mask of the upright image. Orange: the mask of the "
    "turned image, turned back. In the change, grey is in both masks, blue only in the upright "
    "one, orange only in the turned one: an equivariant network leaves neither.",
    headline=headline,
    ticks=range(0, 361, 45),
    period=360.0,
)

write_report = partial(report.write_report, STUDY)
main_figures = partial(report.main_figures, STUDY)
