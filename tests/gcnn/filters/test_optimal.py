"""The optimal steerable basis: its errors, computed independently, and that nothing beats it."""

import math

import numpy as np
import pytest
import torch

from gcnn.filters import CircularHarmonics, OptimalSteerable, Power
from gcnn.filters.lattice_symmetry import lattice_harmonics

SMOOTH = Power(smoothness=1.2, floor=0.0)


def forms(kernel_size, frequency, power):
    """Power of the response, and its share that turns as `exp(inφ)`, by the midpoint rule."""
    radii = (np.arange(160) + 0.5) * math.pi / 160
    angles = np.arange(96) * 2 * math.pi / 96
    weights = radii * (np.exp(-((power.smoothness * radii) ** 2)) + power.floor)
    weights /= weights.sum()
    half = (kernel_size - 1) / 2
    rows, columns = np.divmod(np.arange(kernel_size**2), kernel_size)
    x, y = columns - half, half - rows
    phase = np.cos(angles)[:, None] * x + np.sin(angles)[:, None] * y
    spectra = np.exp(-1j * radii[:, None, None] * phase)
    total = np.einsum("r,rap,raq->pq", weights / len(angles), spectra.conj(), spectra)
    turning = np.einsum("rap,a->rp", spectra, np.exp(-1j * frequency * angles)) / len(angles)
    return total, np.einsum("r,rp,rq->pq", weights, turning.conj(), turning)


def steering_errors(filters, total, turning):
    """λ of the span of filters `(k², F)`, ascending."""
    power = filters.conj().T @ total @ filters
    share = filters.conj().T @ (total - turning) @ filters
    return np.sort(np.linalg.eigvals(np.linalg.solve(power, share)).real)


def errors_by_frequency(basis, kernel_size, power):
    functions = basis.circular_functions(kernel_size)
    found = {}
    for n in sorted(set(functions.frequencies.tolist())):
        filters = functions.values[functions.frequencies == n].flatten(1).T.numpy()
        found[n] = steering_errors(filters, *forms(kernel_size, n, power))
    return found


def test_the_best_functions_steer_as_well_as_the_design_found():
    found = errors_by_frequency(OptimalSteerable(SMOOTH), 5, SMOOTH)
    # An isotropic filter even steers to rounding error; 2e-9 is the second.
    assert found[0][0] < 1e-12
    for n, place, expected in ((0, 1, 2e-9), (1, 0, 1.2e-8), (2, 0, 9.4e-7), (3, 0, 5.2e-5)):
        assert found[n][place] == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("kernel_size", [3, 5, 7])
def test_no_filter_of_its_frequency_steers_better(kernel_size):
    power = Power()
    found = errors_by_frequency(OptimalSteerable(power), kernel_size, power)
    for n, errors in found.items():
        lattice = lattice_harmonics(kernel_size, n).numpy()
        every = steering_errors(lattice, *forms(kernel_size, n, power))
        np.testing.assert_allclose(errors, every[: len(errors)], rtol=1e-3, atol=1e-10)


@pytest.mark.parametrize("kernel_size", [3, 5, 7])
def test_it_steers_better_than_the_harmonics_at_as_many_functions(kernel_size):
    power = Power()
    best = errors_by_frequency(OptimalSteerable(power), kernel_size, power)
    rings = errors_by_frequency(CircularHarmonics(), kernel_size, power)
    worst = [max(errors.max() for errors in found.values()) for found in (best, rings)]
    mean = [np.concatenate(list(found.values())).mean() for found in (best, rings)]
    assert worst[0] < worst[1] and mean[0] < mean[1]


@pytest.mark.parametrize(("kernel_size", "count"), [(1, 1), (3, 6), (5, 11), (7, 18)])
def test_by_default_there_are_as_many_functions_as_harmonics(kernel_size, count):
    eye = torch.eye(2, dtype=torch.float64)[None]
    assert OptimalSteerable().sample(eye, kernel_size).shape[0] == count


@pytest.mark.parametrize("functions", [1, 2, 5, 9, 15, 20])
def test_as_many_functions_as_asked_or_one_less_where_pairs_do_not_fit(functions):
    eye = torch.eye(2, dtype=torch.float64)[None]
    count = OptimalSteerable(functions=functions).sample(eye, 5).shape[0]
    assert count in (functions - 1, functions) and count > 0


@pytest.mark.parametrize("functions", [0, -1, 26])
def test_an_impossible_number_of_functions_is_refused(functions):
    basis = OptimalSteerable(functions=functions)
    with pytest.raises(ValueError, match=f"5×5 kernel has 1 to 25 functions, got .*={functions}"):
        basis.sample(torch.eye(2, dtype=torch.float64)[None], 5)


@pytest.mark.parametrize("options", [{"smoothness": -0.1}, {"floor": -1e-3}])
def test_a_negative_power_is_refused(options):
    with pytest.raises(ValueError, match="smoothness and floor must be at least 0, got Power"):
        Power(**options)


@pytest.mark.parametrize("power", [Power(0.0, 0.0), Power(0.5, 0.0), Power(1.5), Power(0.0, 1.0)])
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_any_power_gives_functions_that_turn_exactly_by_90_degrees(power, kernel_size):
    values = OptimalSteerable(power).circular_functions(kernel_size)
    turned = torch.rot90(values.values, 1, (-2, -1))
    phase = torch.exp(-0.5j * math.pi * values.frequencies.double())[:, None, None]
    torch.testing.assert_close(turned, phase * values.values, atol=1e-13, rtol=0)


def test_the_spectrum_is_smooth_plus_a_floor():
    frequency = torch.tensor([0.0, 1.0, 2.0])
    expected = torch.exp(-((0.7 * frequency) ** 2)) + 0.1
    torch.testing.assert_close(Power(0.7, 0.1)(frequency), expected)
