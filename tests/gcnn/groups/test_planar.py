"""The named groups of the plane."""

import pytest
import torch

from gcnn import filters, groups
from gcnn.geometry import mirror, rotation
from tests.gcnn.cases import OTHER_BASES, PLANAR, label


@pytest.mark.parametrize("n", [1, 2, 3, 4, 8, 12, 16])
@pytest.mark.parametrize("make", [groups.SE2, groups.SteerableSE2])
def test_rotations_start_at_the_identity_and_go_counter_clockwise(make, n):
    expected = torch.stack([rotation(360 * k / n) for k in range(n)])
    assert torch.equal(make(n).matrices, expected)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 8])
def test_dihedral_turns_first_and_then_mirrors_and_turns(n):
    group = groups.Dihedral(n)
    assert group.order == 2 * n and group.is_closed
    turns = torch.stack([rotation(360 * k / n) for k in range(n)])
    torch.testing.assert_close(group.matrices[:n], turns)
    torch.testing.assert_close(group.matrices[n:], turns @ mirror())


def test_p4_is_the_four_quarter_turns():
    assert torch.equal(groups.P4().matrices, torch.stack([rotation(90 * k) for k in range(4)]))
    shifts = torch.arange(4)
    assert torch.equal(groups.P4().product, (shifts[:, None] + shifts) % 4)
    assert torch.equal(groups.P4().relative, (shifts - shifts[:, None]) % 4)


def test_p4m_is_the_eight_symmetries_of_the_square():
    group = groups.P4M()
    assert group.order == 8 and group.is_closed
    assert torch.equal(group.matrices, group.matrices.round())
    assert torch.linalg.det(group.matrices).tolist() == [1] * 4 + [-1] * 4
    assert not torch.equal(group.product, group.product.T)


@pytest.mark.parametrize("group", PLANAR, ids=repr)
def test_elements_are_isometries_of_the_plane(group):
    unit = torch.eye(2, dtype=torch.float64).expand_as(group.matrices)
    torch.testing.assert_close(group.matrices @ group.matrices.mT, unit)


def test_the_bases_are_those_of_the_design():
    assert groups.P4().basis == groups.P4M().basis == groups.SE2(8).basis == filters.Pixels()
    for group in (groups.SteerableSE2(8), groups.Dihedral(8)):
        assert isinstance(group.basis, filters.SteerableBasis)
    harmonics = filters.CircularHarmonics()
    assert groups.SE2(8, harmonics).basis == groups.SteerableSE2(8, harmonics).basis == harmonics
    assert groups.Dihedral(4, harmonics).basis == harmonics


@pytest.mark.parametrize("make", [groups.SE2, groups.SteerableSE2, groups.Dihedral])
@pytest.mark.parametrize("n", [0, -1, 2.0, "8", True])
def test_a_number_of_rotations_must_be_a_positive_integer(make, n):
    with pytest.raises(ValueError, match="number of rotations must be a positive integer, got"):
        make(n)


def test_names_are_the_calls_that_make_them():
    for name in ("P4()", "P4M()", "SE2(8)", "SteerableSE2(12)", "Dihedral(3)"):
        assert repr(eval(name, vars(groups).copy())) == name


@pytest.mark.parametrize("group", OTHER_BASES, ids=label)
def test_another_basis_is_in_the_name(group):
    other = eval(repr(group), {**vars(groups), **vars(filters)})
    assert type(other) is type(group) and other.basis == group.basis
    assert repr(other) == repr(group) != f"{type(group).__name__}({len(group.matrices)})"


def test_the_default_basis_is_not_in_the_name_even_where_it_is_given():
    assert repr(groups.SE2(8, filters.Pixels())) == "SE2(8)"
