"""What the report of the polyp study says; the page itself is made by `experiments.results`."""

from __future__ import annotations

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
    quarter = study.ways(c, study.commutation)[_QUARTER]
    found = {n: c.score(n, "agreement", **quarter) for n in c.fullest}
    exact = [n for n, e in found.items() if e.worst >= _EXACT]
    nearly = [n for n, e in found.items() if n not in exact and e.mean >= _NEARLY]
    said = [
        f"{listing(exact)}: turning the image by 90°, 180° or 270° turns the mask exactly, on "
        "every test image."
    ]
    for names, what in (
        (nearly, "turn with the image but for single pixels that rounding tips"),
        ([n for n in found if n not in (*exact, *nearly)], "change when the image is turned"),
    ):
        changes = "; ".join(
            f"{n} {fixed(found[n].mean)} on average, {fixed(found[n].worst)} for the worst image"
            for n in names
        )
        said.append(
            f"{listing(names)}: by 90°, 180° or 270° the masks {what} (Dice between the turned "
            f"mask and the mask of the turned image: {changes})."
            if names
            else ""
        )
    return " ".join(said[not exact :]).strip()


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
