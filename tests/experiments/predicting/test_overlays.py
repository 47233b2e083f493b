"""Slices through the tumour as a radiologist sees them, to scale, with closed outlines."""

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure

from experiments.results import overlays
from experiments.results.overlays import largest_section, overlay, planes, shown_best


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures of the overlays."""
    figures: list[Figure] = []
    draw = overlays.png_bytes
    monkeypatch.setattr(overlays, "png_bytes", lambda one: figures.append(one) or draw(one))
    return figures


def box(shape: tuple[int, ...] = (12, 16, 14), regions: int = 1) -> Any:
    masks = np.zeros((regions, *shape), dtype=np.uint8)
    masks[:, 4:8, 5:11, :9] = 1
    return masks


def contours(axes: Axes) -> list[QuadContourSet]:
    return [one for one in axes.collections if isinstance(one, QuadContourSet)]


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
def test_three_slices_show_the_true_and_the_found_outlines_to_scale(
    regions: tuple[str, ...], drawn: list[Figure]
) -> None:
    image, masks = np.random.default_rng(0).random((12, 16, 14)), box(regions=len(regions))
    overlay(image, np.roll(masks, 1, 3), masks, regions, (4.0, 1.0, 2.0), "case")
    (figure,) = drawn
    for axes, ratio in zip(figure.axes, (16 / 28, 48 / 28, 48 / 16), strict=True):
        corners = axes.transData.transform([*zip(axes.get_xlim(), axes.get_ylim(), strict=True)])
        width, height = np.abs(corners[1] - corners[0])
        assert height / width == pytest.approx(ratio, rel=0.01)
        assert len(contours(axes)) == 2 * len(regions)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == [f"{name}, {what}" for name in regions for what in ("true", "found")]


def test_outlines_are_closed_and_lie_half_a_voxel_around_the_mask(drawn: list[Figure]) -> None:
    overlay(np.ones((12, 16, 14)), None, box(), ("whole",), (1, 1, 1), "")
    points = np.asarray(contours(drawn[0].axes[0])[0].get_paths()[0].vertices)
    assert np.array_equal(points[0], points[-1])
    assert points.min(0).tolist() == [-0.5, 4.5] and points.max(0).tolist() == [8.5, 10.5]


@pytest.mark.parametrize(
    ("found", "said"), [([0, 0], ": nothing found"), ([1, 0], ": nothing found of b"), ([1, 1], "")]
)
def test_what_was_not_found_is_said(found: list[int], said: str, drawn: list[Figure]) -> None:
    masks = box(regions=2) * np.array(found)[:, None, None, None]
    assert overlay(np.zeros((12, 16, 14)), None, masks, "ab", (1, 1, 1), "p1").startswith(
        b"\x89PNG"
    )
    assert drawn[0].get_suptitle() == f"p1{said}"


def test_a_thin_volume_gives_a_picture_of_reasonable_size(drawn: list[Figure]) -> None:
    masks = np.ones((1, 2, 400, 400))
    overlay(masks[0], None, masks, ("whole",), (0.5, 1, 1), "thin")
    assert drawn[0].get_figwidth() < 40


def test_outlines_are_drawn_on_the_modality_that_shows_a_tumour_best() -> None:
    assert shown_best(["t1", "t2", "flair"]) == 2 and shown_best(("adc", "dwi")) == 0
