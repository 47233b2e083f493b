"""How well a basis can be moved at all, against an independent quadrature."""

import math

import numpy as np
import pytest
import torch

from gcnn.equivariance import steering_errors
from gcnn.filters import CircularHarmonics, OptimalSteerable, Pixels, Power
from gcnn.geometry import rotation


def test_steerable_functions_have_the_share_that_does_not_turn():
    # Of one frequency: 1 - |mean of B(φ) exp(-inφ)|² / mean |B|², on circles weighted by power.
    basis, power = OptimalSteerable(functions=1), Power()
    filter_ = basis.sample(rotation(0)[None], 5)[0, 0].numpy().ravel()
    radii = (np.arange(160) + 0.5) * math.pi / 160
    angles = np.arange(96) * 2 * math.pi / 96
    weights = radii * power(torch.from_numpy(radii)).numpy()
    rows, columns = np.divmod(np.arange(25), 5)
    phase = np.cos(angles)[:, None] * (columns - 2) + np.sin(angles)[:, None] * (2 - rows)
    spectrum = np.exp(-1j * radii[:, None, None] * phase) @ filter_
    total = (weights * (np.abs(spectrum) ** 2).mean(1)).sum()
    turning = (weights * np.abs(spectrum.mean(1)) ** 2).sum()
    expected = 1 - turning / total
    assert float(steering_errors(basis, 5)) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("kernel_size", [3, 5, 7])
def test_the_optimal_basis_beats_harmonics_and_pixels(kernel_size):
    optimal = steering_errors(OptimalSteerable(), kernel_size)
    rings = steering_errors(CircularHarmonics(), kernel_size)
    bilinear = steering_errors(Pixels(), kernel_size)
    assert len(optimal) == len(rings)
    assert optimal[-1] < rings[-1] < bilinear[-1]
    assert optimal.mean() < rings.mean() < bilinear.mean()


def test_errors_are_ascending_shares():
    found = steering_errors(Pixels(), 5)
    assert found.shape == (25,)
    assert torch.equal(found, found.sort().values)
    assert found[0] > -1e-9


def test_the_span_counts_and_not_the_functions_in_it():
    class Mixed(CircularHarmonics):
        def move(self, matrices, kernel_size):
            functions = super().move(matrices, kernel_size)
            mix = torch.eye(len(functions), dtype=torch.float64)
            mix += 0.5 * torch.diag(torch.ones(len(functions) - 1, dtype=torch.float64), 1)
            return torch.einsum("jk,khxy->jhxy", mix, functions)

    torch.testing.assert_close(steering_errors(Mixed(), 5), steering_errors(CircularHarmonics(), 5))


def test_smoother_features_are_easier():
    smooth = steering_errors(CircularHarmonics(), 5, Power(1.5, 0.0))
    rough = steering_errors(CircularHarmonics(), 5, Power(0.3, 0.0))
    assert smooth[-1] < rough[-1]
