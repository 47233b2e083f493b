"""Which matrix of a list is which, up to rounding error."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gcnn import groups
from gcnn.geometry import find, mirror, rotation
from tests.gcnn.cases import Largest


def test_find_gives_the_place_or_minus_one():
    among = torch.stack([rotation(0), rotation(90), mirror()])
    wanted = torch.stack([mirror(), rotation(45), rotation(0), rotation(90 + 1e-9)])
    assert find(wanted, among).tolist() == [2, -1, 0, 1]


@settings(max_examples=60)
@given(
    dim=st.integers(1, 3),
    listed=st.integers(0, 30),
    known=st.integers(0, 30),
    levels=st.integers(1, 4),
    noise=st.sampled_from([0.0, 0.9e-6, 1.1e-6]),
    seed=st.integers(0, 10**6),
)
def test_find_is_the_first_of_a_slow_search(dim, listed, known, levels, noise, seed):
    generator = torch.Generator().manual_seed(seed)

    def draw(count):
        # Few different entries, so that many matrices lie at the same place along a line.
        return torch.randint(levels, (count, dim, dim), generator=generator).double()

    among, wanted = draw(listed), draw(known)
    wanted = wanted + noise * (2 * torch.randint(2, wanted.shape, generator=generator) - 1)
    expected = [
        next((k for k, m in enumerate(among) if (w - m).abs().max() < 1e-6), -1) for w in wanted
    ]
    assert find(wanted, among).tolist() == expected


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_nowhere(value):
    assert find(torch.full((1, 2, 2), value).double(), rotation(0)[None]).tolist() == [-1]


def test_the_tables_of_a_large_group_take_no_more_memory_than_they_hold():
    with Largest() as largest:
        group = groups.SE2(200)
    assert group.is_closed
    # All products of two elements, and all relative matrices after the elements.
    assert largest.numbers <= 4 * (200**2 + 200)


@pytest.mark.parametrize("make", [groups.SE2, groups.Dihedral], ids=lambda make: make.__name__)
def test_the_work_for_the_tables_of_a_group_grows_with_its_products(make):
    totals = []
    for n in (25, 100):
        with Largest() as counted:
            make(n)
        totals.append(counted.total)
    assert totals[1] / totals[0] < 1.5 * 4**2
