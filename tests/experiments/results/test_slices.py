"""Slices drawn to scale, with closed outlines."""

import numpy as np
import pytest
from matplotlib.contour import QuadContourSet

from experiments.results.figures import png_bytes
from experiments.results.slices import Contour, Slice, slice_row


def one(shape: tuple[int, int], spacing: tuple[float, float], *contours: Contour) -> Slice:
    picture = np.linspace(0, 1, shape[0] * shape[1]).reshape(shape)
    return Slice("a slice", picture, spacing, ("R", "L", "A", "P"), contours)


def test_a_slice_keeps_its_proportions_in_millimetres() -> None:
    figure = slice_row([one((20, 40), (4.0, 1.0)), one((30, 30), (1.0, 1.0))], "two")
    png_bytes(figure)
    for axes, ratio in zip(figure.axes, (80 / 40, 1.0), strict=True):
        left, right = axes.get_xlim()
        low, high = axes.get_ylim()
        corners = axes.transData.transform([(left, low), (right, high)])
        width, height = np.abs(corners[1] - corners[0])
        assert height / width == pytest.approx(ratio, rel=0.01)


def test_outlines_are_closed_and_lie_half_a_pixel_around_the_mask() -> None:
    mask = np.zeros((10, 12), dtype=bool)
    mask[:4, 5:8] = True
    figure = slice_row([one((10, 12), (1.0, 1.0), Contour("true", mask, "red"))], "one")
    (lines,) = (a for a in figure.axes[0].collections if isinstance(a, QuadContourSet))
    points = np.asarray(lines.get_paths()[0].vertices)
    assert np.array_equal(points[0], points[-1])
    assert points.min(0).tolist() == [4.5, -0.5] and points.max(0).tolist() == [7.5, 3.5]


def test_every_kind_of_outline_is_in_the_legend_once_and_an_empty_mask_has_no_line() -> None:
    full, empty = np.ones((5, 5), dtype=bool), np.zeros((5, 5), dtype=bool)
    contours = Contour("true", full, "red"), Contour("found", empty, "blue", dashed=True)
    figure = slice_row([one((5, 5), (1, 1), *contours)] * 2, "twice")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["true", "found"]
    for axes in figure.axes:
        assert sum(isinstance(a, QuadContourSet) for a in axes.collections) == 1


def test_outlines_of_another_size_and_no_slices_are_refused() -> None:
    wrong = Contour("true", np.ones((4, 5), dtype=bool), "red")
    with pytest.raises(ValueError, match=r"outline 'true' of a mask \(4, 5\)"):
        slice_row([one((5, 5), (1, 1), wrong)], "one")
    with pytest.raises(ValueError, match="no slices"):
        slice_row([], "none")
