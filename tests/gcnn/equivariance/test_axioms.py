"""check_group accepts what keeps its promises and names what does not."""

import pytest
import torch

from gcnn import fields, filters, groups
from gcnn.equivariance import check_group
from gcnn.equivariance.axioms import _axioms
from gcnn.geometry import rotation
from tests.gcnn.cases import SCALED, WITHOUT_PRODUCTS, Largest, cube, left_right

GOOD = (
    groups.P4(),
    groups.P4M(),
    groups.SteerableSE2(8),
    groups.Dihedral(3),
    left_right(),
    cube(),
)


@pytest.mark.parametrize("group", GOOD, ids=repr)
def test_good_groups_pass_every_law(group):
    report = check_group(group)
    assert all(check.holds for check in report.checks)
    assert len(report.checks) == 10
    assert str(report).splitlines()[0] == f"{group}: {group.order} elements in {group.dim}D"
    assert str(report).count("ok  ") == 10


def test_a_set_that_is_not_closed_fails_unless_it_is_meant_to_be_a_window():
    with pytest.raises(ValueError, match="FAIL closure: 3 of 9 products leave the set"):
        check_group(SCALED)
    assert all(check.holds for check in check_group(SCALED, window=True).checks)


def test_missing_elements_are_named():
    three = groups.Group([rotation(0), rotation(90), rotation(180)], name="Three()")
    with pytest.raises(ValueError, match=r"FAIL inverses: missing for elements \[1\]"):
        check_group(three)
    with pytest.raises(ValueError, match="FAIL identity: missing"):
        check_group(WITHOUT_PRODUCTS, window=True)


def test_a_basis_that_does_not_move_with_the_group_is_found():
    class Still(filters.Basis):
        def move(self, matrices, kernel_size):
            values = filters.Pixels().move(matrices[:1], kernel_size)
            return values.expand(-1, len(matrices), -1, -1)

    broken = groups.Group(groups.P4().matrices, Still(), name="Broken()")
    with pytest.raises(ValueError, match=r"FAIL the basis moves with the group: 9 functions") as e:
        check_group(broken)
    assert "FAIL lifting convolution" in str(e.value)
    assert "ok   associativity" in str(e.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_basis_that_holds_no_numbers_is_found(value):
    class Broken(filters.Basis):
        def move(self, matrices, kernel_size):
            return torch.full((1, len(matrices), kernel_size, kernel_size), value).double()

    broken = groups.Group(groups.P4().matrices, Broken(), name="Broken()")
    with pytest.raises(ValueError, match=r"FAIL the basis moves .*: it holds NaN or infinity"):
        check_group(broken)


def test_an_action_that_is_no_homomorphism_is_found():
    class Forgetful(fields.Regular):
        def move(self, features, matrix):
            return features

    matrices = groups.P4M().matrices
    broken = groups.Group(matrices, name="Forgetful()", field=Forgetful(matrices))
    with pytest.raises(ValueError, match=r"FAIL lifting convolution: error"):
        check_group(broken)


def test_a_table_that_is_not_associative_is_found():
    broken = groups.Group(groups.generate(rotation(60)), name="Broken()")
    broken.product = broken.product.clone()
    broken.product[1, 2] = 4
    with pytest.raises(ValueError, match="FAIL associativity: of the Cayley table"):
        check_group(broken)


def test_no_law_takes_more_memory_than_the_tables_of_a_large_group():
    group = groups.SE2(48)
    with Largest() as largest:
        checks = list(_axioms(group, window=False))
    assert all(check.holds for check in checks)
    assert largest.numbers <= 4 * (group.order**2 + group.order)


def test_the_random_state_is_left_alone():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    check_group(groups.P4())
    assert torch.equal(torch.rand(1), expected)
