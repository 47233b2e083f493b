"""What the report of the polyp study says; the page itself is made by `experiments.results`."""

from functools import partial

from experiments.polyp.evaluate import BASE, EvaluationOptions
from experiments.polyp.train import TrainOptions
from experiments.results import report
from experiments.results.runs import Comparison
from experiments.results.study import Protocol, StudyReport
from experiments.results.words import fixed, listing

_QUARTER = "90°, 180°, 270°"
_EXACT, _NEARLY = 1 - 1e-9, 0.9995


def headline(c: Comparison) -> str:
    """Whether masks turn with the image at multiples of 90°, exactly, nearly or not."""
    exactly, nearly, changed = list[str](), list[str](), list[str]()
    for label in c.fullest:
        score = c.score(label, "agreement", **c.ways(c.study.commutation)[_QUARTER])
        kind = exactly if score.worst >= _EXACT else nearly if score.mean >= _NEARLY else changed
        kind.append(f"{label} ({fixed(score.mean)}, {fixed(score.worst)} at worst)")
    told = {
        "turn exactly with every test image": exactly,
        "turn with the image but for single pixels that rounding tips": nearly,
        "change when the image is turned": changed,
    }
    said = "; ".join(f"the masks of {listing(of)} {what}" for what, of in told.items() if of)
    of = "Dice between the turned mask and the mask of the turned image"
    return f"By 90°, 180° or 270°, {said}. In brackets: {of}."


STUDY = StudyReport(
    name="polyp",
    title="Rotation study",
    sample="image",
    train=TrainOptions,
    evaluate=EvaluationOptions,
    settings=("dataset", "size", "split"),
    base=BASE,
    transformation="Rotation",
    axis="angle in degrees",
    part=lambda angle: "0°" if angle == 0 else "other angles" if angle % 90 else _QUARTER,
    # Multiples of 90° permute the pixels, the other angles do not.
    distance=lambda angle: int(angle != 0) + int(angle % 90 != 0),
    protocols=[
        Protocol(
            "rotation",
            "Turned images",
            "The image and its true mask are turned, counter-clockwise, and compared inside the "
            "inscribed disc. Multiples of 90° permute the pixels and are exact; at other angles "
            "the image is interpolated.",
            {"dice": "Dice", "iou": "IoU", "precision": "precision", "recall": "recall"},
        )
    ],
    commutation=Protocol(
        "rotation",
        "Equivariance",
        "Does the mask turn with the image? The mask of the turned image is compared with the "
        "turned mask of the upright image, inside the inscribed disc, by the Dice coefficient. It "
        "is seen without the truth, and 1 for an equivariant network. The dotted line is a mask "
        "turned there and back: what interpolation alone costs, twice, so a curve may lie above "
        "it. Two empty masks are left out: they agree, but say nothing.",
        {"agreement": "agreement of the masks (Dice)"},
    ),
    bound="control",
    legend="Green: the true mask. Blue: the mask of the upright image. Orange: the mask of the "
    "turned image, turned back. In the change, grey is in both masks, blue only in the upright "
    "one, orange only in the turned one: an equivariant network leaves neither.",
    headline=headline,
    ticks=range(0, 361, 45),
    period=360.0,
)

write_report = partial(report.write_report, STUDY)
main_figures = partial(report.main_figures, STUDY)
