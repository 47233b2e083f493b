"""Every convention of labels gives the same nested regions; unknown labels are refused."""

import numpy as np
import pytest

from experiments.common.errors import UserError
from experiments.tumour.labels import REGIONS, labels_of, region_masks

OEDEMA_CORE_ENHANCING = {"brats": (2, 1, 4), "brats2023": (2, 1, 3), "msd": (1, 2, 3)}


def row(*labels):
    return np.array(labels).reshape(1, 1, -1)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float64])
@pytest.mark.parametrize("convention", OEDEMA_CORE_ENHANCING)
def test_the_regions_are_the_same_under_every_convention(convention, kind):
    oedema, core, enhancing = OEDEMA_CORE_ENHANCING[convention]
    segmentation = row(0, oedema, core, enhancing).astype(kind)
    masks = region_masks(segmentation, convention, REGIONS["all"], "p1")
    assert masks.dtype == np.uint8
    assert masks[:, 0, 0].tolist() == [[0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1]]
    assert np.array_equal(region_masks(segmentation, convention, REGIONS["whole"], "p1"), masks[:1])


@pytest.mark.parametrize(
    ("convention", "labels", "message"),
    [
        ("brats", (0, 1, 3), "the segmentation of p1 holds the label 3: brats has 0, 1, 2, 4"),
        ("brats2023", (0, 4), "of p1 holds the label 4: brats2023 has 0, 1, 2, 3"),
        ("msd", (0, 7, 9, 300), "of p1 holds the label 7 and 2 more: msd has 0, 1, 2, 3"),
        ("brats", (0.0, 1.5), "of p1 holds the label 1.5"),
        ("brats", (0, -1), "of p1 holds the label -1"),
        ("unofficial", (0, 255), "of p1 holds the label 255"),
    ],
)
def test_an_unknown_label_is_refused_with_the_case_and_what_is_allowed(convention, labels, message):
    with pytest.raises(UserError, match=message):
        region_masks(row(*labels), convention, REGIONS["whole"], "p1")


def test_a_binary_outline_is_the_whole_tumour_and_nothing_else():
    assert region_masks(row(0, 1, 1), "unofficial", REGIONS["whole"], "p1").ravel().tolist() == [
        *(0, 1, 1)
    ]
    with pytest.raises(UserError, match=r"p1 holds only 0 and 1: .* regions can only be whole"):
        region_masks(row(0, 1, 1), "unofficial", REGIONS["all"], "p1")


def test_a_core_without_oedema_is_no_binary_outline_in_an_official_case():
    assert region_masks(row(0, 1), "brats", REGIONS["all"], "p1")[1].ravel().tolist() == [0, 1]


def test_a_segmentation_without_tumour_is_allowed():
    assert not region_masks(row(0, 0), "unofficial", REGIONS["all"], "p1").any()


@pytest.mark.parametrize("convention", OEDEMA_CORE_ENHANCING)
def test_the_labels_of_the_regions_of_a_segmentation_are_that_segmentation(convention):
    segmentation = row(0, *OEDEMA_CORE_ENHANCING[convention], 0)
    for regions in REGIONS.values():
        masks = region_masks(segmentation, convention, regions, "p1")
        labels = labels_of(masks, convention)
        assert labels.dtype == np.uint8
        expected = segmentation if len(regions) > 1 else segmentation != 0
        assert np.array_equal(labels, expected)


def test_regions_that_are_not_nested_are_cut_to_the_larger_ones():
    masks = np.array([row(1, 1, 1, 0), row(0, 1, 0, 1), row(1, 1, 0, 1)])
    assert labels_of(masks, "brats").ravel().tolist() == [2, 4, 2, 0]
