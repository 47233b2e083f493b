"""Slices through the tumour as a radiologist sees them."""

import io

import numpy as np
import pytest
from matplotlib import image as pictures

from experiments.tumour.overlays import largest_section, overlay, planes


def test_slices_go_through_the_largest_section_of_each_axis() -> None:
    mask = np.zeros((8, 9, 10), dtype=np.uint8)
    mask[3, 2:7, 4:9] = 1
    mask[2:6, 5, 6] = 1
    assert largest_section(mask) == (3, 5, 6)
    assert largest_section(np.zeros((8, 9, 10))) == (4, 4, 5)


def test_slices_are_displayed_superior_up_and_anterior_up() -> None:
    # Axes run to superior, posterior and left.
    volume = np.zeros((6, 7, 8))
    volume[5, 0, 0] = 1
    axial, coronal, sagittal = planes(volume, 0, 5), planes(volume, 1, 0), planes(volume, 2, 0)
    assert axial.shape == (7, 8) and axial[0, 0] == 1
    assert coronal.shape == (6, 8) and coronal[0, 0] == 1
    assert sagittal.shape == (6, 7) and sagittal[0, 0] == 1


@pytest.mark.parametrize("regions", [("whole",), ("whole", "core", "enhancing")])
def test_a_picture_shows_three_slices_with_the_true_and_the_found_outlines(
    regions: tuple[str, ...],
) -> None:
    rng = np.random.default_rng(0)
    image = rng.standard_normal((12, 16, 14)).astype(np.float32)
    truth = np.zeros((len(regions), 12, 16, 14), dtype=np.uint8)
    truth[:, 4:8, 5:11, 5:9] = 1
    plain = overlay(image, 0 * truth, 0 * truth, regions, (2.0, 1.0, 1.0), "case")
    drawn = overlay(image, truth, np.roll(truth, 1, 2), regions, (2.0, 1.0, 1.0), "case")
    before, after = (pictures.imread(io.BytesIO(png)) for png in (plain, drawn))
    assert after.shape[1] > 1.5 * after.shape[0]
    grey = np.ptp(after[..., :3], axis=-1) < 0.02
    assert before.shape == after.shape and (~grey).sum() > 200


def test_a_case_without_any_brain_or_tumour_can_be_drawn() -> None:
    empty = np.zeros((1, 6, 6, 6))
    assert overlay(empty[0], None, empty, ("whole",), (1, 1, 1), "new").startswith(b"\x89PNG")
    assert overlay(empty[0], empty, empty, ("whole",), (1, 1, 1), "empty").startswith(b"\x89PNG")


def test_masks_that_do_not_go_with_the_image_are_refused() -> None:
    with pytest.raises(ValueError, match=r"masks true, \(1, 4, 4, 5\), of 1 regions do not go"):
        overlay(
            np.zeros((4, 4, 4)),
            np.zeros((1, 4, 4, 5)),
            np.zeros((1, 4, 4, 5)),
            ("whole",),
            (1, 1, 1),
            "",
        )
