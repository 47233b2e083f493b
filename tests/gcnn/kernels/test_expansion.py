"""The two formulas from weights to filters, against slow loops."""

import itertools

import pytest
import torch

from gcnn import groups
from gcnn.kernels import group_kernel
from gcnn.kernels.expansion import gather, product, relative_basis, relative_choice
from tests.gcnn.cases import SCALED, WITHOUT_PRODUCTS, cube, left_right

GROUPS = (
    groups.P4(),
    groups.P4M(),
    groups.SteerableSE2(8),
    groups.Dihedral(3),
    left_right(),
    SCALED,
    WITHOUT_PRODUCTS,
)
over_groups = pytest.mark.parametrize("group", GROUPS, ids=repr)


def tables(group, kernel_size=3):
    return group.basis.sample(group.matrices, kernel_size)


def random(*shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@over_groups
def test_lifting_filters_sum_weights_times_moved_functions(group):
    basis = tables(group)
    weight = random(2, 3, len(basis))
    expected = torch.zeros(2, group.order, 3, *basis.shape[2:], dtype=torch.float64)
    for o, h, i, k in itertools.product(range(2), range(group.order), range(3), range(len(basis))):
        expected[o, h, i] += weight[o, i, k] * basis[k, h]
    filters = product(weight, basis.unsqueeze(2))
    torch.testing.assert_close(filters, expected.flatten(0, 1))


@over_groups
def test_group_filters_take_the_weights_of_the_relative_element(group):
    basis, order = tables(group), group.order
    weight = random(2, 2, len(group.relative_matrices), len(basis))
    filters = gather(weight, basis, relative_choice(group.relative))
    filters = filters.view(2, order, 2, order, *basis.shape[2:])
    for h, g in itertools.product(range(order), repeat=2):
        relative = torch.linalg.inv(group.matrices[h]) @ group.matrices[g]
        distance = (group.relative_matrices - relative).abs().amax(dim=(1, 2))
        m = int(distance.argmin())
        assert distance[m] < 1e-9
        expected = sum(weight[:, :, m, k, None, None] * basis[k, h] for k in range(len(basis)))
        torch.testing.assert_close(filters[:, h, :, g], expected)


@pytest.mark.parametrize(
    "group", [groups.P4(), groups.SteerableSE2(8), groups.Dihedral(3)], ids=repr
)
def test_filters_expanded_at_once_are_those_expanded_by_gathering(group):
    basis = tables(group)
    weight = random(2, 3, len(group.relative_matrices), len(basis))
    at_once = product(weight, relative_basis(group.relative, basis))
    torch.testing.assert_close(at_once, gather(weight, basis, relative_choice(group.relative)))


def test_many_terms_are_gathered_and_few_are_not():
    small, large = groups.SteerableSE2(8), groups.SteerableSE2(12)
    assert group_kernel(small, small.basis, 3).formula is product
    assert group_kernel(large, large.basis, 5).formula is gather


def test_voxels_expand_too():
    group = cube()
    basis = tables(group)
    weight = random(1, 1, 24, 27)
    filters = gather(weight, basis, relative_choice(group.relative)).view(1, 24, 1, 24, 3, 3, 3)
    h, g = 5, 17
    expected = torch.einsum("k,kxyz->xyz", weight[0, 0, group.relative[h, g]], basis[:, h])
    torch.testing.assert_close(filters[0, h, 0, g], expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_expansion_keeps_the_dtype(dtype):
    group = groups.P4()
    basis = tables(group).to(dtype)
    choice = relative_choice(group.relative).to(dtype)
    assert product(random(1, 2, 9).to(dtype), basis.unsqueeze(2)).dtype == dtype
    assert gather(random(1, 2, 4, 9).to(dtype), basis, choice).dtype == dtype
