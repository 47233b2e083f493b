"""What a figure shows is what it was given."""

import io
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from PIL import Image

from experiments.results.figures import (
    COLOURS,
    box_plots,
    curve_plot,
    outline,
    picture_row,
    png_bytes,
    svg_bytes,
)
from experiments.results.statistics import outliers


def points(curves: dict[str, list[float]]) -> pd.DataFrame:
    made = pd.DataFrame(curves).reset_index(names="at").melt("at", None, "network", "mean")
    return made.assign(low=made["mean"] - 0.1, high=made["mean"] + 0.1)


def lines(figure: Any) -> list[Any]:
    return [line for line in figure.axes[0].lines if len(line.get_xdata())]


def test_curves_keep_their_points_and_bands() -> None:
    figure = curve_plot(points({"a": [1.0, 0.5]}), "angle", "Dice", [0, 1])
    np.testing.assert_array_equal(lines(figure)[0].get_data(), [[0, 1], [1.0, 0.5]])
    band = figure.axes[0].collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == pytest.approx((0.4, 1.1))


def test_every_curve_has_a_colour_a_line_style_and_a_marker_of_its_own() -> None:
    drawn = lines(curve_plot(points({str(i): [i, i] for i in range(7)}), "x", "y", [0, 1]))
    assert [line.get_color() for line in drawn] == list(COLOURS[:7])
    assert len({line.get_marker() for line in drawn}) == 7
    assert len({str(line._dash_pattern) for line in drawn}) == 7, "told apart in grey as well"


def test_a_control_is_neutral_and_in_the_legend() -> None:
    bound = pd.Series([1.0, 0.9], index=[0, 1], name="control")
    figure = curve_plot(points({"a": [1.0, 0.5]}), "x", "y", [0, 1], bound)
    assert lines(figure)[-1].get_color() not in COLOURS
    assert [text.get_text() for text in figure.legends[0].texts] == ["a", "control"]


def test_outliers_of_a_box_plot_are_ringed_and_counted() -> None:
    fine = pd.Series([0.8 + 0.01 * i for i in range(9)])
    groups = {"net": pd.concat([fine, pd.Series([0.1, 0.0])]), "fine": fine}
    beyond = {name: outliers(values, "dice") for name, values in groups.items()}
    axes = box_plots(groups, beyond, "Dice").axes[0]
    labels = [text.get_text() for text in axes.get_xticklabels()]
    assert labels == ["net\n2 outliers", "fine\n0 outliers"]
    found = [
        np.ma.getdata(c.get_offsets()) for c in axes.collections if isinstance(c, PathCollection)
    ]
    assert sorted(map(len, found)) == [0, 2, 9, 11]
    ringed = next(values for values in found if len(values) == 2)
    assert sorted(ringed[:, 1]) == [0.0, 0.1]


def test_a_row_of_pictures_is_a_png_wider_than_high() -> None:
    panels = [("image", np.random.default_rng(0).random((8, 8, 3))), ("mask", np.eye(8))]
    picture = Image.open(io.BytesIO(png_bytes(picture_row([*panels, *panels]))))
    assert picture.format == "PNG" and picture.width > 2 * picture.height


def test_equal_figures_are_equal_files() -> None:
    def draw() -> bytes:
        return svg_bytes(curve_plot(points({"a": [0, 1]}), "x", "y", [0, 1]))

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
