"""Moving images: exact where the grid allows it, splines elsewhere, against slow loops."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gcnn.geometry import INTERPOLATIONS, mirror, rotation, transform
from gcnn.geometry.resample import _sample, _source_points, _spline_prefilter
from tests.gcnn.cases import Blobs

SIZES = st.tuples(st.integers(1, 6), st.integers(1, 6))


def image(*shape, dtype=torch.float64, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@given(size=SIZES, quarters=st.integers(-4, 4))
def test_quarter_turns_are_rot90_for_any_shape(size, quarters):
    f = image(2, 3, *size)
    turned = transform(f, rotation(90 * quarters))
    assert torch.equal(turned, torch.rot90(f, quarters, (-2, -1)))


@given(size=SIZES)
def test_mirrors_flip_and_transpose_for_any_shape(size):
    f = image(2, *size)
    assert torch.equal(transform(f, mirror()), f.flip(-1))
    assert torch.equal(transform(f, mirror(0)), f.flip(-2))
    assert torch.equal(transform(f, mirror(135)), f.mT)
    assert torch.equal(transform(f, mirror(45)), f.flip(-1, -2).mT)


def stretching(*factors):
    return torch.diag(torch.tensor(factors, dtype=torch.float64))


SIGNED_PERMUTATIONS = [
    torch.eye(3, dtype=torch.float64)[list(order)] * torch.tensor(signs, dtype=torch.float64)
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


@pytest.mark.parametrize("matrix", SIGNED_PERMUTATIONS)
def test_flips_and_axis_swaps_move_every_voxel_to_its_place(matrix):
    matrix = matrix.numpy()
    f = image(3, 3, 3)
    expected = torch.empty_like(f)
    for depth, row, column in itertools.product(range(3), repeat=3):
        x, y, z = np.linalg.inv(matrix) @ [column - 1, 1 - row, depth - 1]
        expected[depth, row, column] = f[round(z) + 1, 1 - round(y), round(x) + 1]
    assert torch.equal(transform(f, torch.from_numpy(matrix)), expected)


@pytest.mark.parametrize("matrix", SIGNED_PERMUTATIONS)
def test_flips_and_axis_swaps_of_any_volume_lose_nothing(matrix):
    f = image(2, 2, 3, 4)
    moved = transform(f, matrix)
    assert torch.equal(moved.flatten().sort().values, f.flatten().sort().values)
    assert torch.equal(transform(moved, matrix.T), f)


def test_a_flip_and_a_swap_of_a_volume_are_those_of_torch():
    f = image(2, 3, 4)
    assert torch.equal(transform(f, stretching(-1, 1, 1)), f.flip(-1))
    assert torch.equal(transform(f, stretching(1, -1, 1)), f.flip(-2))
    assert torch.equal(transform(f, stretching(1, 1, -1)), f.flip(-3))
    x_and_z = torch.eye(3, dtype=torch.float64).flip(0)
    assert torch.equal(transform(f, x_and_z), f.transpose(0, 2))


def test_a_non_cubic_volume_swaps_the_sizes_of_its_axes():
    about_x = torch.tensor([[1, 0, 0], [0, 0, -1], [0, 1, 0]], dtype=torch.float64)
    assert transform(image(2, 3, 4), about_x).shape == (3, 2, 4)


@pytest.mark.parametrize("matrix", [rotation(37), mirror(20), 1.3 * rotation(10)])
@pytest.mark.parametrize("size", [(5, 5), (4, 7)])
def test_linear_interpolation_weighs_the_four_pixels_around(matrix, size):
    f = image(*size)
    expected = torch.zeros_like(f)
    for row, column in itertools.product(*map(range, size)):
        r, c = source(matrix, size, row, column)
        for i, j in itertools.product(range(size[0]), range(size[1])):
            expected[row, column] += max(0, 1 - abs(r - i)) * max(0, 1 - abs(c - j)) * f[i, j]
    torch.testing.assert_close(transform(f, matrix, "linear"), expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("matrix", [rotation(37), mirror(20), 1.3 * rotation(10)])
def test_nearest_interpolation_takes_the_pixel_that_is_met(matrix):
    f = image(5, 6)
    expected = torch.zeros_like(f)
    for row, column in itertools.product(range(5), range(6)):
        r, c = source(matrix, (5, 6), row, column)
        if -0.5 < r < 4.5 and -0.5 < c < 5.5:
            expected[row, column] = f[round(r), round(c)]
    assert torch.equal(transform(f, matrix, "nearest"), expected)


@pytest.mark.parametrize(
    "matrix",
    [
        rotation(37),
        1.2 * rotation(80),
        0.8 * rotation(90),
        stretching(1.3, 1.3),
        stretching(-2, 0.7),
    ],
)
@pytest.mark.parametrize("size", [(6, 6), (5, 8)])
@pytest.mark.parametrize(("name", "degree"), [("cubic", 3), ("quintic", 5)])
def test_splines_are_b_splines_through_the_pixels(matrix, size, name, degree):
    f = image(*size).numpy()
    coefficients = spline_coefficients(spline_coefficients(f, degree).T, degree).T
    expected = np.zeros(size)
    for row, column in itertools.product(*map(range, size)):
        r, c = source(matrix, size, row, column)
        if -0.5 < r < size[0] - 0.5 and -0.5 < c < size[1] - 0.5:
            for i, j in itertools.product(range(-3, size[0] + 3), range(-3, size[1] + 3)):
                weight = b_spline(r - i, degree) * b_spline(c - j, degree)
                expected[row, column] += (
                    weight * coefficients[reflected(i, size[0]), reflected(j, size[1])]
                )
    moved = transform(torch.from_numpy(f), matrix, name)
    torch.testing.assert_close(moved, torch.from_numpy(expected), atol=1e-12, rtol=0)


def source(matrix, size, row, column):
    """Row and column in the input that output pixel (row, column) comes from."""
    centre_row, centre_column = (size[0] - 1) / 2, (size[1] - 1) / 2
    x, y = np.linalg.inv(matrix.numpy()) @ [column - centre_column, centre_row - row]
    return centre_row - y, centre_column + x


def spline_coefficients(samples, degree):
    """Along the first axis, by solving for coefficients that reproduce the samples."""
    n = len(samples)
    system = np.zeros((n, n))
    for i, j in itertools.product(range(n), range(-2, n + 2)):
        system[i, reflected(j, n)] += b_spline(i - j, degree)
    return np.linalg.solve(system, samples)


def reflected(index, size):
    return -index if index < 0 else 2 * (size - 1) - index if index >= size else index


def b_spline(t, degree):
    """The B-spline by its recurrence from the box."""
    if degree == 0:
        return float(-0.5 <= t < 0.5)
    half = (degree + 1) / 2
    left, right = b_spline(t + 0.5, degree - 1), b_spline(t - 0.5, degree - 1)
    return ((half + t) * left + (half - t) * right) / degree


@pytest.mark.parametrize("degrees", [17, 30, 45])
def test_splines_turn_smooth_images_to_a_thousandth_and_better_than_the_others(degrees):
    blobs = Blobs()
    turned, inside = blobs.image(degrees), blobs.disc()
    error = {
        name: float(
            ((transform(blobs.image(), rotation(degrees), name) - turned) * inside).norm()
            / (turned * inside).norm()
        )
        for name in INTERPOLATIONS
    }
    assert 5 * error["quintic"] < error["cubic"] < 1e-3 < error["linear"] < error["nearest"]


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("factors", [(0.8, 1.3, 1.7), (2.0, -0.6, 1.0)])
def test_stretching_axis_by_axis_is_interpolating_at_every_point(interpolation, factors):
    f = image(2, 5, 6, 7)
    matrix = stretching(*factors)
    points = _source_points(f.shape[1:], matrix)
    expected = _sample(f, points, interpolation)
    moved = transform(f, matrix, interpolation)
    torch.testing.assert_close(moved, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_what_comes_from_outside_is_zero(interpolation):
    moved = transform(torch.ones(1, 9, 9), rotation(45), interpolation)
    assert moved[0, 0, 0] == 0
    assert moved[0, 4, 4] == pytest.approx(1)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_moving_is_linear_in_the_image(interpolation):
    one, other = image(2, 7, 6), image(2, 7, 6, seed=1)
    matrix = rotation(33)
    together = transform(2 * one - 3 * other, matrix, interpolation)
    apart = 2 * transform(one, matrix, interpolation) - 3 * transform(other, matrix, interpolation)
    torch.testing.assert_close(together, apart, atol=1e-12, rtol=0)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_the_gradient_is_that_of_finite_differences(interpolation):
    f = image(1, 4, 5).requires_grad_()
    for matrix in (rotation(25), stretching(1.2, 0.7)):
        assert torch.autograd.gradcheck(lambda x, m=matrix: transform(x, m, interpolation), (f,))


@settings(max_examples=20)
@given(size=SIZES, degrees=st.floats(0, 360), interpolation=st.sampled_from(INTERPOLATIONS))
def test_shape_and_dtype_are_kept_at_any_angle(size, degrees, interpolation):
    degrees = degrees + 0.01 if degrees % 90 == 0 else degrees
    f = image(2, *size, dtype=torch.float32)
    moved = transform(f, rotation(degrees), interpolation)
    assert moved.shape == f.shape and moved.dtype == f.dtype
    assert moved.isfinite().all()


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("matrix", [rotation(33), stretching(1.2, 0.7)])
def test_real_and_imaginary_parts_move_alike(matrix, interpolation):
    real, imaginary = image(2, 7, 6), image(2, 7, 6, seed=1)
    moved = transform(torch.complex(real, imaginary), matrix, interpolation)
    parts = (transform(part, matrix, interpolation) for part in (real, imaginary))
    torch.testing.assert_close(moved, torch.complex(*parts))


@pytest.mark.parametrize("degree", [3, 5])
def test_the_prefilter_holds_no_denormals_which_are_slow(degree):
    entries = _spline_prefilter(300, degree).float().abs()
    assert entries[entries > 0].min() >= torch.finfo(torch.float32).tiny


def test_an_unknown_interpolation_is_refused_with_the_known_ones():
    known = r"\('nearest', 'linear', 'cubic', 'quintic'\), got 'bicubic'"
    with pytest.raises(ValueError, match=known):
        transform(image(3, 3), rotation(45), "bicubic")


def test_too_few_axes_are_refused():
    with pytest.raises(ValueError, match="a 3D matrix moves 3 axes, the image has only 2"):
        transform(image(3, 3), torch.eye(3))
