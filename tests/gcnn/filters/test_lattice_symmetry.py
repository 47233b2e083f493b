"""Filters that turn by 90° exactly as functions of one angular frequency do."""

import pytest
import torch

from gcnn.filters.lattice_symmetry import lattice_harmonics

cases = pytest.mark.parametrize(
    ("kernel_size", "frequency"), [(k, n) for k in (1, 2, 3, 4, 5, 7) for n in range(6)]
)


@cases
def test_turning_multiplies_by_a_power_of_i_and_mirroring_conjugates(kernel_size, frequency):
    basis = lattice_harmonics(kernel_size, frequency).T.unflatten(-1, (kernel_size, kernel_size))
    turned = torch.rot90(basis, 1, (-2, -1))
    torch.testing.assert_close(turned, (-1j) ** frequency * basis, atol=1e-13, rtol=0)
    torch.testing.assert_close(basis.flip(-2), basis.conj().resolve_conj(), atol=1e-13, rtol=0)


@cases
def test_columns_are_orthonormal(kernel_size, frequency):
    basis = lattice_harmonics(kernel_size, frequency)
    # Real combinations are formed of them, so orthonormality over the reals is what matters.
    gram = (basis.mH @ basis).real
    torch.testing.assert_close(gram, torch.eye(len(gram), dtype=torch.float64))


@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4, 5, 7])
def test_frequencies_0_to_3_together_span_all_filters(kernel_size):
    assert sum(lattice_harmonics(kernel_size, n).shape[1] for n in range(4)) == kernel_size**2
