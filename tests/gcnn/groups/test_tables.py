"""Closure from generators, and tables by comparing matrices."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gcnn.geometry import mirror, rotation
from gcnn.groups import Group, generate
from tests.gcnn.cases import CLOSED, SCALED, WITHOUT_PRODUCTS, cube


@given(n=st.integers(1, 24))
def test_one_rotation_generates_its_powers_in_turn(n):
    expected = torch.stack([rotation(360 * k / n) for k in range(n)])
    torch.testing.assert_close(generate(rotation(360 / n)), expected, atol=1e-9, rtol=0)


@settings(max_examples=30)
@given(n=st.integers(1, 12), line=st.floats(0, 180))
def test_a_mirror_doubles_the_rotations(n, line):
    elements = generate(rotation(360 / n), mirror(line))
    assert len(elements) == 2 * n
    determinants = torch.linalg.det(elements).round().tolist()
    assert determinants == [1] * n + [-1] * n


def test_two_rotations_generate_the_24_of_the_cube():
    matrices = cube().matrices
    signed_permutations = {
        tuple(tuple(sign * (column == chosen) for column in range(3)) for sign, chosen in rows)
        for order in itertools.permutations(range(3))
        for signs in itertools.product((1, -1), repeat=3)
        for rows in [tuple(zip(signs, order, strict=True))]
    }
    proper = {m for m in signed_permutations if torch.linalg.det(torch.tensor(m).double()) > 0}
    assert {tuple(tuple(int(v) for v in row) for row in m.tolist()) for m in matrices} == proper


def test_lists_of_numbers_generate_too():
    assert generate([[0, -1], [1, 0]]).shape == (4, 2, 2)


def test_an_infinite_group_is_refused():
    with pytest.raises(ValueError, match="more than 256 elements: a sampled group is finite"):
        generate(rotation(1.234567))


def test_the_limit_can_be_set():
    with pytest.raises(ValueError, match="more than 8 elements"):
        generate(rotation(360 / 9), limit=8)
    assert len(generate(rotation(360 / 9), limit=9)) == 9


@pytest.mark.parametrize(
    ("generator", "message"),
    [
        ([[float("nan"), 0], [0, 1]], r"generator 1, \[\[nan, 0.0\], .*, is not finite"),
        ([[1j, 0], [0, 1]], "generator 1, .*, is complex"),
        ([[1, 1], [1, 1]], "generator 1, .*, cannot be inverted"),
    ],
)
def test_a_generator_that_is_no_element_of_any_group_is_refused(generator, message):
    with pytest.raises(ValueError, match=message):
        generate(rotation(90), generator)


def test_no_generators_are_refused():
    with pytest.raises(ValueError, match="at least one generator"):
        generate()


@pytest.mark.parametrize("group", [*CLOSED, SCALED, WITHOUT_PRODUCTS], ids=repr)
def test_the_tables_say_what_the_matrices_say(group):
    for g, h in itertools.product(range(group.order), repeat=2):
        product = group.matrices[g] @ group.matrices[h]
        relative = torch.linalg.inv(group.matrices[g]) @ group.matrices[h]
        if group.product[g, h] < 0:
            assert (group.matrices - product).abs().amax(dim=(1, 2)).min() > 0.01
        else:
            assert torch.allclose(group.matrices[group.product[g, h]], product, atol=1e-9)
        found = group.relative_matrices[group.relative[g, h]]
        assert torch.allclose(found, relative, atol=1e-9)


@pytest.mark.parametrize("group", CLOSED, ids=repr)
def test_the_relative_elements_of_a_group_are_its_own_elements(group):
    assert torch.equal(group.relative_matrices, group.matrices)
    assert torch.equal(group.relative, group.product[group.inverse])


def test_a_window_of_scalings_has_products_and_inverses_as_far_as_it_reaches():
    assert SCALED.product.tolist() == [[0, 1, 2], [1, 2, -1], [2, -1, -1]]
    assert SCALED.inverse.tolist() == [0, -1, -1]
    assert not SCALED.is_closed
    assert SCALED.identity == 0


def test_the_relative_elements_of_a_window_are_its_ratios():
    ratios = SCALED.relative_matrices[:, 0, 0]
    assert sorted(ratios.tolist()) == pytest.approx([1 / 2.25, 1 / 1.5, 1, 1.5, 2.25])
    scales = SCALED.matrices[:, 0, 0]
    assert torch.allclose(ratios[SCALED.relative], scales[None] / scales[:, None])


def test_a_window_without_any_product_has_relative_elements_all_the_same():
    assert WITHOUT_PRODUCTS.product.tolist() == [[-1, -1], [-1, -1]]
    assert WITHOUT_PRODUCTS.inverse.tolist() == [-1, -1]
    assert WITHOUT_PRODUCTS.identity == -1
    ratios = WITHOUT_PRODUCTS.relative_matrices[:, 0, 0][WITHOUT_PRODUCTS.relative]
    expected = torch.tensor([[1, 1.7 / 1.2], [1.2 / 1.7, 1]], dtype=torch.float64)
    assert torch.allclose(ratios, expected)


@settings(max_examples=10)
@given(
    n=st.integers(1, 6),
    skew=st.lists(st.floats(-1, 1), min_size=2, max_size=2),
)
def test_a_group_in_other_coordinates_has_the_same_tables(n, skew):
    change = torch.tensor([[1.0, skew[0]], [skew[1] / 2, 1.5]], dtype=torch.float64)
    plain = Group(generate(rotation(360 / n), mirror()))
    skewed = Group(change @ plain.matrices @ torch.linalg.inv(change))
    assert torch.equal(plain.product, skewed.product)
    assert torch.equal(plain.relative, skewed.relative)
