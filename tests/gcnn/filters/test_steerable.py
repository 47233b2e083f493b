"""What holds for every basis that turns by a phase."""

import pytest
import torch

from gcnn import groups
from gcnn.filters import CircularFunctions, CircularHarmonics, OptimalSteerable, SteerableBasis
from gcnn.geometry import rotation
from tests.gcnn.cases import PLANAR, SCALED, cube, exact_elements

BASES = (
    CircularHarmonics(),
    CircularHarmonics(max_frequency=2, width=0.5),
    OptimalSteerable(),
    OptimalSteerable(functions=9),
)
bases = pytest.mark.parametrize("basis", BASES, ids=repr)
kernels = pytest.mark.parametrize("kernel_size", [3, 4, 5, 7])


@bases
@kernels
@pytest.mark.parametrize("group", [groups.SE2(8), groups.P4M(), groups.Dihedral(4)], ids=repr)
def test_exact_elements_move_the_functions_as_images(basis, kernel_size, group):
    moved = basis.sample(group.matrices, kernel_size)
    assert moved.shape[1:] == (group.order, kernel_size, kernel_size)
    for element in exact_elements(group):
        expected = group.act(moved[None, :, 0], element)[0]
        torch.testing.assert_close(moved[:, element], expected, atol=1e-13, rtol=0)


@bases
@kernels
def test_turning_multiplies_by_a_phase(basis, kernel_size):
    functions = basis.circular_functions(kernel_size)
    angle = 37.0
    phase = torch.exp(-1j * torch.deg2rad(torch.tensor(angle)).double() * functions.frequencies)
    expected = []
    for n, value in zip(
        functions.frequencies, phase[:, None, None] * functions.values, strict=True
    ):
        expected += [value.real] if n == 0 else [value.real, value.imag]
    moved = basis.move(rotation(angle)[None], kernel_size)[:, 0]
    torch.testing.assert_close(moved, torch.stack(expected))


@bases
@kernels
def test_mirrors_in_the_x_axis_conjugate(basis, kernel_size):
    values = basis.circular_functions(kernel_size).values
    torch.testing.assert_close(values.flip(-2), values.conj().resolve_conj(), atol=1e-13, rtol=0)


@bases
@pytest.mark.parametrize("kernel_size", [3, 5, 7])
def test_only_frequency_zero_has_a_centre(basis, kernel_size):
    functions = basis.circular_functions(kernel_size)
    centre = functions.values[:, kernel_size // 2, kernel_size // 2].abs()
    # A frequency that is a multiple of 4 looks like none on the lattice.
    assert centre[functions.frequencies % 4 != 0].max() < 1e-13
    assert centre[functions.frequencies == 0].max() > 0.1


@bases
@kernels
def test_the_functions_are_independent(basis, kernel_size):
    functions = basis.sample(rotation(0)[None], kernel_size)[:, 0].flatten(1)
    singular = torch.linalg.svdvals(functions / functions.norm(dim=1, keepdim=True))
    assert singular[-1] > 1e-3


@bases
@kernels
def test_functions_have_norm_one_on_average(basis, kernel_size):
    functions = basis.sample(rotation(0)[None], kernel_size)[:, 0].flatten(1)
    assert functions.square().sum(1).mean() == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("group", PLANAR, ids=repr)
@bases
def test_any_planar_group_is_served(basis, group):
    assert basis.sample(group.matrices, 3).isfinite().all()


@bases
def test_space_is_refused_with_what_would_serve_it(basis):
    with pytest.raises(ValueError, match=r"groups of the plane, not of 3D space; filters\.Pixels"):
        basis.sample(cube().matrices, 3)


@bases
def test_scalings_are_refused_with_what_would_serve_them(basis):
    message = r"rotations and mirrors; element 2 is .*, which changes lengths; filters\.Pixels"
    with pytest.raises(ValueError, match=message):
        basis.sample(SCALED.matrices, 3)


def test_a_basis_of_ones_own_is_its_circular_functions():
    class Ring(SteerableBasis):
        def circular_functions(self, kernel_size):
            ring = torch.ones(1, kernel_size, kernel_size, dtype=torch.complex128)
            return CircularFunctions(torch.tensor([0]), ring)

    assert Ring().move(groups.SE2(8).matrices, 3).shape == (1, 8, 3, 3)
