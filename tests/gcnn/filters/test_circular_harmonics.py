"""Circular harmonics on Gaussian rings, against the formula evaluated at turned places."""

import cmath
import itertools
import math

import pytest
import torch

from gcnn import groups
from gcnn.filters import CircularHarmonics


@pytest.mark.parametrize(("kernel_size", "count"), [(1, 1), (3, 6), (5, 11), (7, 18), (9, 25)])
def test_as_many_functions_as_the_rings_can_carry(kernel_size, count):
    assert CircularHarmonics().count(kernel_size) == count
    assert CircularHarmonics().sample(groups.P4().matrices, kernel_size).shape[0] == count


def test_frequencies_of_a_ring_are_limited_by_its_circumference():
    functions = CircularHarmonics(max_frequency=9).circular_functions(5)
    # Rings 0, 1, 2: up to 0, 2 and 4.
    assert functions.frequencies.tolist() == [0, 0, 1, 2, 0, 1, 2, 3, 4]


def psi(ring, sigma, n, x, y):
    radius, angle = math.hypot(x, y), math.atan2(y, x)
    if radius < 1e-12 and n:
        return 0
    return math.exp(-((radius - ring) ** 2) / (2 * sigma**2)) * cmath.exp(1j * n * angle)


@pytest.mark.parametrize(
    ("kernel_size", "rings"),
    [
        (3, [(0, 0.6, 0), (1, 0.4, 0), (1, 0.4, 1), (1, 0.4, 2)]),
        (5, [(0, 0.6, 0), *((1, 0.6, n) for n in range(3)), *((2, 0.4, n) for n in range(3))]),
        (
            7,
            [
                (0, 0.6, 0),
                *((1, 0.6, n) for n in range(3)),
                *((2, 0.6, n) for n in range(4)),
                *((3, 0.4, n) for n in range(3)),
            ],
        ),
    ],
)
@pytest.mark.parametrize("element", [0, 1, 2, 5])
def test_the_functions_are_the_formula_at_turned_places(kernel_size, rings, element):
    moved = CircularHarmonics().sample(groups.SE2(8).matrices, kernel_size)[:, element]
    cosine, sine = math.cos(element * math.pi / 4), math.sin(element * math.pi / 4)
    half = kernel_size // 2
    expected = []
    for ring in rings:
        values = []
        for row, column in itertools.product(range(kernel_size), repeat=2):
            x, y = column - half, half - row
            values.append(psi(*ring, cosine * x + sine * y, cosine * y - sine * x))
        values = torch.tensor(values, dtype=torch.complex128).view(kernel_size, kernel_size)
        norm = values.abs().square().sum().sqrt()
        if ring[2]:
            values = values * math.sqrt(2)
            expected += [values.real / norm, values.imag / norm]
        else:
            expected.append(values.real / norm)
    torch.testing.assert_close(moved, torch.stack(expected), atol=1e-9, rtol=0)


def test_nothing_of_the_outermost_ring_reaches_beyond_the_window_at_full_width():
    outer = CircularHarmonics().circular_functions(5).values[-1].abs()
    assert outer[2, 4] > 10 * math.exp(-(1**2) / (2 * 0.4**2)) * outer[2, 4]
    assert outer[0, 0] < 0.2 * outer[2, 4]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_frequency": 0}, "max_frequency must be at least 1, got 0"),
        ({"width": 0.0}, "width must be positive, got 0.0"),
        ({"outer_width": -1.0}, "outer_width must be positive, got -1.0"),
    ],
)
def test_impossible_rings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        CircularHarmonics(**options)
