"""The abstract group: axioms, what it refuses, and how it is printed and copied."""

import copy
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gcnn import filters, groups
from gcnn.geometry import mirror, rotation
from tests.gcnn.cases import CLOSED, SCALED, SCALES, label

ELEMENTS = st.tuples(*(st.integers(0, 10**6),) * 3)


@settings(max_examples=100)
@given(group=st.sampled_from(CLOSED), chosen=ELEMENTS)
def test_the_group_axioms_hold(group, chosen):
    a, b, c = (int(element) % group.order for element in chosen)
    product, identity = group.product, group.identity
    assert product[product[a, b], c] == product[a, product[b, c]]
    assert product[a, identity] == product[identity, a] == a
    assert product[a, group.inverse[a]] == product[group.inverse[a], a] == identity


@pytest.mark.parametrize("group", CLOSED, ids=repr)
def test_every_row_and_column_of_the_product_is_a_permutation(group):
    elements = torch.arange(group.order)
    for table in (group.product, group.relative):
        assert torch.equal(table.sort(dim=0).values, elements[:, None].expand_as(table))
        assert torch.equal(table.sort(dim=1).values, elements.expand_as(table))
    assert group.is_closed


@pytest.mark.parametrize("group", CLOSED, ids=repr)
def test_order_dimension_and_matrices_agree(group):
    assert group.matrices.shape == (group.order, group.dim, group.dim)
    assert group.matrices.dtype == torch.float64
    assert group.identity == 0


def test_elements_keep_the_order_in_which_they_are_given():
    given_order = [rotation(180), rotation(0), rotation(270), rotation(90)]
    group = groups.Group(given_order)
    assert torch.equal(group.matrices, torch.stack(given_order))
    assert group.identity == 1
    assert group.product[0, 2] == 3


@pytest.mark.parametrize(
    ("matrices", "message"),
    [
        (torch.eye(2), r"elements must be \(d, d\) matrices, got 2 of shape \[\(2,\)\]"),
        (torch.zeros(3, 2, 3), r"got 3 of shape \[\(2, 3\)\]"),
        (torch.zeros(0, 2, 2), "got 0 of shape"),
        ([torch.eye(2), torch.eye(3)], r"got 2 of shape \[\(2, 2\), \(3, 3\)\]"),
        ([torch.eye(2), rotation(float("nan"))], r"element 1, \[\[nan, nan\], .*, is not finite"),
        ([[[1, 0], [0, float("inf")]]], r"element 0, .* \[0.0, inf\]\], is not finite"),
        ([torch.eye(2), [[1j, 0], [0, 1]]], r"element 1, \[\[1j, 0j\], .*, is complex"),
        (torch.eye(2, dtype=torch.complex64)[None], r"element 0, .*, is complex; it must be real"),
        ([torch.eye(2), torch.zeros(2, 2)], "element 1, .*, cannot be inverted"),
        ([rotation(0), rotation(90), rotation(360)], "elements 0 and 2 are the same matrix"),
        ([rotation(0), rotation(1e-6)], "elements 0 and 1 are the same matrix"),
    ],
)
def test_matrices_that_make_no_group_are_refused(matrices, message):
    with pytest.raises(ValueError, match=message):
        groups.Group(matrices)


@pytest.mark.parametrize("element", [4, -5, 100])
def test_an_element_that_does_not_exist_is_refused(element):
    with pytest.raises(IndexError, match=rf"P4\(\) has the elements 0 to 3, got {element}"):
        groups.P4().act(torch.zeros(1, 1, 3, 3), element)


@pytest.mark.parametrize("shape", [(3, 3), (1, 3, 3), (1, 1, 3, 3, 3), (1, 1, 4, 1, 3, 3)])
def test_a_tensor_that_is_neither_image_nor_feature_map_is_refused(shape):
    with pytest.raises(ValueError, match=r"P4\(\) acts on images .* and on feature maps .* 4,"):
        groups.P4().act(torch.zeros(shape), 1)


def test_a_matrix_list_may_be_of_plain_numbers():
    group = groups.Group([[[1, 0], [0, 1]], [[-1, 0], [0, -1]]])
    assert group.is_closed and group.order == 2


def test_the_default_filters_are_pixels_and_the_default_name_says_what_it_is():
    group = groups.Group(groups.generate(mirror()))
    assert group.basis == filters.Pixels()
    assert repr(group) == "Group(order=2, dim=2)"


@pytest.mark.parametrize("group", [*CLOSED, SCALED, *SCALES], ids=repr)
def test_a_pickled_group_is_the_same(group):
    other = pickle.loads(pickle.dumps(group))
    assert repr(other) == repr(group) and other.basis == group.basis
    tables = ("matrices", "product", "relative", "inverse", "relative_matrices", "sources")
    for name in (*tables, "outputs"):
        assert torch.equal(getattr(other, name), getattr(group, name))


def test_copies_of_a_network_share_the_group():
    group = groups.SE2(8)
    assert copy.deepcopy(group) is group


def test_a_subclass_is_its_matrices_and_a_basis():
    class Quarter(groups.Group):
        def __init__(self):
            super().__init__(groups.generate(rotation(90)), filters.CircularHarmonics())

    assert repr(Quarter()) == "Quarter(order=4, dim=2)"
    assert torch.equal(Quarter().product, groups.P4().product)


EVERY = (
    groups.P4(), groups.P4M(), groups.SE2(8), groups.SteerableSE2(8), groups.Dihedral(3),
    groups.SteerableSE2(8, filters.CircularHarmonics()), groups.SE2(8, filters.Pixels(disc=True)),
    groups.ScaleTranslation([1.0, 0.8, 0.64]), groups.ScaleTranslation([1.0, 0.8, 0.64], dim=3),
    groups.ScaleTranslation([1.0, 0.8, 0.64], interaction=2),
    groups.ScaleTranslation([1.0, 0.8, 0.64], interaction=2, scale_padding="replicate"),
    groups.ScaleTranslation([0.64, 0.8, 1.0]),
    groups.Group(groups.P4().matrices, interacting=[[[1.0, 0.0], [0.0, 1.0]]]),
)  # fmt: skip


def test_groups_are_equal_if_and_only_if_they_make_the_same_layers():
    for i, one in enumerate(EVERY):
        assert [one == other for other in EVERY] == [i == j for j in range(len(EVERY))]
        assert one != repr(one)
    assert groups.P4() == groups.SE2(4)
    assert groups.SteerableSE2(8) == groups.SteerableSE2(8)


@pytest.mark.parametrize("group", EVERY, ids=label)
def test_a_pickled_group_is_the_same_group(group):
    other = pickle.loads(pickle.dumps(group))
    assert other == group and hash(other) == hash(group) and repr(other) == repr(group)
    assert len({group, other}) == 1
