"""Where a pixel is, and what a matrix means."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gcnn.geometry import as_grid_symmetry, axis_matrix, grid_points, mirror, rotation
from tests.gcnn.cases import cube

ANGLES = st.floats(-720, 720)


def test_a_rotation_is_counter_clockwise_with_x_right_and_y_up():
    expected = [[math.cos(0.5), -math.sin(0.5)], [math.sin(0.5), math.cos(0.5)]]
    torch.testing.assert_close(
        rotation(math.degrees(0.5)), torch.tensor(expected, dtype=torch.float64)
    )


@given(one=ANGLES, other=ANGLES)
def test_rotations_add_their_angles(one, other):
    product = rotation(one) @ rotation(other)
    torch.testing.assert_close(product, rotation(one + other), atol=1e-11, rtol=0)


@given(angle=ANGLES)
def test_a_mirror_keeps_its_line_and_turns_the_normal_round(angle):
    along = rotation(angle)[:, 0]
    across = rotation(angle)[:, 1]
    torch.testing.assert_close(mirror(angle) @ along, along, atol=1e-11, rtol=0)
    torch.testing.assert_close(mirror(angle) @ across, -across, atol=1e-11, rtol=0)


@pytest.mark.parametrize("quarters", range(-5, 9))
def test_multiples_of_90_degrees_are_integers(quarters):
    matrix = rotation(90 * quarters)
    assert torch.equal(matrix, matrix.round())
    assert torch.equal(matrix, torch.linalg.matrix_power(rotation(90), quarters % 4))


@pytest.mark.parametrize("degrees", [0, 45, 90, 135, 180])
def test_mirrors_of_the_grid_are_integers(degrees):
    assert torch.equal(mirror(degrees), mirror(degrees).round())


def test_points_are_about_the_centre_in_pixels_with_rows_downwards():
    points = grid_points((3, 4))
    assert points.shape == (3, 4, 2) and points.dtype == torch.float64
    assert points[0, 0].tolist() == [-1.5, 1.0]
    assert points[0, 3].tolist() == [1.5, 1.0]
    assert points[2, 0].tolist() == [-1.5, -1.0]


def test_points_of_space_have_depth_along_z():
    points = grid_points((5, 3, 3))
    assert points[4, 0, 2].tolist() == [1.0, 1.0, 2.0]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=3))
def test_the_points_of_any_grid_sum_to_zero(size):
    assert grid_points(size).flatten(0, -2).sum(0).abs().max() == 0


def test_a_matrix_in_axis_coordinates_moves_rows_and_columns():
    # Turning by 90° takes "right" (column + 1) to "up" (row - 1).
    right = torch.tensor([0.0, 1.0], dtype=torch.float64)
    assert (axis_matrix(rotation(90)) @ right).tolist() == [-1.0, 0.0]


@pytest.mark.parametrize("element", range(24))
def test_every_rotation_of_the_cube_is_a_symmetry_of_the_grid(element):
    flips, order = as_grid_symmetry(cube().matrices[element])
    assert sorted(order) == [0, 1, 2] and set(flips) <= {0, 1, 2}


@pytest.mark.parametrize(
    "matrix",
    [
        rotation(45),
        rotation(90.001),
        mirror(30),
        2 * rotation(90),
        torch.diag(torch.tensor([1.0, 2.0])),
        torch.tensor([[1.0, 1.0], [0.0, 1.0]]),
    ],
)
def test_what_does_not_permute_the_pixels_is_no_symmetry_of_the_grid(matrix):
    assert as_grid_symmetry(matrix) is None
