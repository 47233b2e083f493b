"""What a figure shows is what it was given."""

import io

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from PIL import Image

from experiments.common.figures import (
    COLOURS,
    Curve,
    box_plots,
    curve_plot,
    outline,
    picture_row,
    png_bytes,
    svg_bytes,
)
from experiments.common.metrics import summarise


def test_curves_keep_their_points_and_gaps() -> None:
    figure = curve_plot([Curve("a", [0, 90, 180], [1.0, None, 0.5])], "angle", "Dice", [0, 90, 180])
    x, y = figure.axes[0].lines[0].get_data()
    np.testing.assert_array_equal(x, [0, 90, 180])
    np.testing.assert_array_equal(y, [1.0, np.nan, 0.5])


def test_every_curve_has_a_colour_a_line_style_and_a_marker_of_its_own() -> None:
    curves = [Curve(str(i), [0, 1], [i, i]) for i in range(len(COLOURS))]
    lines = curve_plot(curves, "x", "y", [0, 1]).axes[0].lines
    assert len({line.get_color() for line in lines}) == len(COLOURS)
    assert len({line.get_marker() for line in lines}) == len(COLOURS)
    looks = {(line.get_linestyle(), line.get_marker()) for line in lines}
    assert len(looks) == len(COLOURS), "told apart in grey as well"


def test_a_control_is_neutral_and_takes_no_colour_from_the_others() -> None:
    curves = [Curve("control", [0, 1], [1, 1], neutral=True), Curve("a", [0, 1], [0, 0])]
    control, first = curve_plot(curves, "x", "y", [0, 1]).axes[0].lines
    assert control.get_color() not in COLOURS
    assert first.get_color() == COLOURS[0]


def test_outliers_of_a_box_plot_are_ringed_and_counted() -> None:
    cases = {f"case {i}": 0.8 + 0.01 * i for i in range(9)} | {"bad": 0.1, "worse": 0.0}
    fine = {f"case {i}": 0.8 + 0.01 * i for i in range(9)}
    groups = {"net": summarise(cases), "fine": summarise(fine)}
    figure = box_plots(groups, {"net": list(cases.values()), "fine": list(fine.values())}, "Dice")
    axes = figure.axes[0]
    labels = [text.get_text() for text in axes.get_xticklabels()]
    assert labels == ["net\n2 outliers", "fine\nno outliers"]
    points = [c for c in axes.collections if isinstance(c, PathCollection)]
    ringed = sorted(float(y) for _, y in points[1].get_offsets())
    assert ringed == [0.0, 0.1]
    assert len(points[0].get_offsets()) == 9


def test_boxes_and_values_must_belong_together() -> None:
    with pytest.raises(ValueError, match=r"boxes for \['a'\], values for \['b'\]"):
        box_plots({"a": summarise({"x": 1.0})}, {"b": [1.0]}, "Dice")


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(ValueError, match="no curves"):
        curve_plot([], "x", "y", [])
    with pytest.raises(ValueError, match="no pictures"):
        picture_row([])


def test_a_row_of_pictures_is_a_png_wider_than_high() -> None:
    panels = [("image", np.random.default_rng(0).random((8, 8, 3))), ("mask", np.eye(8))]
    picture = Image.open(io.BytesIO(png_bytes(picture_row([*panels, *panels]))))
    assert picture.format == "PNG" and picture.width > 2 * picture.height


def test_equal_figures_are_equal_files() -> None:
    def draw() -> bytes:
        return svg_bytes(curve_plot([Curve("a", [0, 1], [0, 1])], "x", "y", [0, 1]))

    assert draw() == draw()
    assert draw().startswith(b"<?xml")


def test_the_outline_of_a_square_is_its_border() -> None:
    mask = np.zeros((8, 9), dtype=bool)
    mask[1:6, 2:7] = True
    inner = np.zeros_like(mask)
    inner[2:5, 3:6] = True
    np.testing.assert_array_equal(outline(mask), mask & ~inner)
    core = np.zeros_like(mask)
    core[3, 4] = True
    np.testing.assert_array_equal(outline(mask, 2), mask & ~core)


def test_a_mask_at_the_border_of_the_picture_is_outlined_there() -> None:
    np.testing.assert_array_equal(
        outline(np.ones((3, 3), dtype=bool)),
        np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], dtype=bool),
    )
