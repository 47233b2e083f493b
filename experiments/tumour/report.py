"""What the report of the tumour study says; the page itself is made by `experiments.results`.

Any volumes can be its data: it speaks of scales, cases and regions, not of tumours.
"""

from functools import partial

from experiments.results import report
from experiments.results.runs import Comparison
from experiments.results.study import Protocol, StudyReport
from experiments.results.words import fixed, listing
from experiments.tumour.evaluate import BASE, EvaluationOptions
from experiments.tumour.train import TrainOptions


def headline(c: Comparison) -> str:
    """How the Dice of each network changes from scale 1 to the farthest one."""
    places = c.places()
    scores = {
        n: [fixed(c.score(n, "dice", **at).mean) for at in places.values()] for n in c.fullest
    }
    told = listing(f"{' → '.join(values)} ({label})" for label, values in scores.items())
    cases = listing(dict.fromkeys(str(n.trained_on) for n in c.networks if n.label in c.fullest))
    return f"Trained on {cases} cases, mean Dice at {' → '.join(places)}: {told}."


_METRICS = {
    "dice": "Dice",
    "soft_dice": "soft Dice",
    "precision": "precision",
    "recall": "recall",
    "hausdorff_95": "HD95 in mm",
}

STUDY = StudyReport(
    name="tumour",
    title="Scale study",
    sample="case",
    train=TrainOptions,
    evaluate=EvaluationOptions,
    settings=("dataset", "modalities", "regions", "spacing", "test_cases", "count", "size"),
    base=BASE,
    transformation="Scale",
    axis="scale",
    part=lambda scale: f"scale {scale:g}",
    # The smaller one of two scales that are as far from 1 is the farther.
    distance=lambda scale: max(scale, 1 / scale) + 1e-6 * (scale < 1),
    protocols=[
        Protocol(
            "resampled",
            "Resampled volumes",
            "The volume and its true mask are scaled about the centre, as if the patient were "
            "smaller, and compared there. HD95 is the 95 % Hausdorff distance; where exactly one "
            "of two masks is empty it is the diagonal of the volume.",
            _METRICS,
        ),
        Protocol(
            "spacing",
            "Changed voxel spacing",
            "The volume is brought to coarser voxels, as if the scanner were coarser, and the mask "
            "back to the voxels it came with, where it is compared with the true mask as it came.",
            _METRICS,
        ),
    ],
    commutation=Protocol(
        "commutation",
        "Equivariance",
        "Does the mask scale with the volume? The probabilities for the scaled volume are compared "
        "with the scaled probabilities for the volume as it is: the norm of their difference over "
        "the mean of their norms. It is seen without the truth, and 0 for an equivariant network; "
        "the dotted line is what interpolation alone costs. The agreement is the Dice coefficient "
        "of the two masks.",
        {"error": "error of the probabilities", "agreement": "agreement of the masks (Dice)"},
    ),
    bound="floor",
    legend="Slices through the first region where it is largest: axial, coronal and sagittal, in "
    "radiological orientation. Solid lines are the true outlines, dashed ones those of the "
    "network.",
    headline=headline,
    digits={"hausdorff_95": 1},
)

write_report = partial(report.write_report, STUDY)
main_figures = partial(report.main_figures, STUDY)
