"""The maximum over the elements of a field, beside `amax`."""

import pytest
import torch

from gcnn import groups
from gcnn.layers import GroupPool
from tests.gcnn.cases import cube
from tests.gcnn.operations import Passes

GROUPS = (groups.P4(), groups.SteerableSE2(8), groups.Dihedral(3), cube())
over_groups = pytest.mark.parametrize("group", GROUPS, ids=repr)
over_layouts = pytest.mark.parametrize("last", [True, False], ids=["channels-last", "contiguous"])


def features(group, last, dtype=torch.float64):
    """Few values, so that several elements share a maximum."""
    x = torch.randint(0, 3, (2, 3, group.order, *(4, 5, 2)[: group.dim])).to(dtype)
    if last:
        x = x.movedim((1, 2), (-2, -1)).contiguous().movedim((-2, -1), (1, 2))
    return x.requires_grad_()


@over_groups
@over_layouts
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_elements_that_share_the_maximum_share_its_gradient(group, last, dtype):
    x = features(group, last, dtype)
    y = GroupPool(group)(x)
    upstream = torch.randn(y.shape).to(dtype)
    (found,) = torch.autograd.grad(y, x, upstream)
    is_largest = (x == y.unsqueeze(2)).to(dtype)
    expected = is_largest * (upstream / is_largest.sum(2)).unsqueeze(2)
    assert torch.equal(y, x.amax(2))
    torch.testing.assert_close(found, expected, rtol=2 * torch.finfo(dtype).eps, atol=0)
    assert found.stride() == x.stride()


@over_layouts
def test_first_and_second_derivatives_are_right(last):
    group = groups.P4()
    x = features(group, last)
    # Gaps much wider than the steps of the check.
    x = (x + torch.rand(x.shape, dtype=x.dtype)).detach().requires_grad_()
    assert torch.autograd.gradcheck(GroupPool(group), x)
    assert torch.autograd.gradgradcheck(GroupPool(group), x)


@over_layouts
def test_function_transforms_and_forward_differentiation_see_the_definition(last):
    x = features(groups.P4(), last).detach()
    pool = GroupPool(groups.P4())
    direction = torch.randn_like(x)
    found = torch.func.jvp(pool, (x,), (direction,))
    torch.testing.assert_close(found, torch.func.jvp(lambda x: x.amax(2), (x,), (direction,)))
    gradient = torch.func.grad(lambda x: pool(x).pow(2).sum())(x)
    torch.testing.assert_close(gradient, torch.func.grad(lambda x: x.amax(2).pow(2).sum())(x))
    batch = torch.stack([x, 2 * x])
    torch.testing.assert_close(torch.vmap(pool)(batch), batch.amax(3))


@pytest.mark.parametrize(("last", "copies"), [(True, 3), (False, 1)])
def test_features_are_copied_no_more_than_the_layout_asks(last, copies):
    x = features(groups.SteerableSE2(8), last, torch.bfloat16)
    with Passes(x.numel()) as passes:
        GroupPool(groups.SteerableSE2(8))(x).sum().backward()
    assert passes.names.count("clone") == copies
    assert len(passes.names) == copies + 2, passes.names
