"""Pooling over the group."""

import pytest
import torch

from gcnn import groups
from gcnn.layers import GroupPool
from tests.gcnn.cases import SCALES, cube


@pytest.mark.parametrize("group", [groups.P4(), groups.Dihedral(8), cube(), *SCALES], ids=repr)
def test_the_maximum_and_the_mean_are_over_the_elements(group):
    x = torch.randn(2, 3, group.order, *(4,) * group.dim)
    assert torch.equal(GroupPool(group)(x), torch.stack(list(x.unbind(2))).amax(0))
    torch.testing.assert_close(GroupPool(group, "mean")(x), sum(x.unbind(2)) / group.order)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("mode", ["max", "mean"])
def test_the_dtype_is_kept(mode, dtype):
    x = torch.randn(2, 3, 8, 4, 4).to(dtype)
    y = GroupPool(groups.SE2(8), mode)(x)
    assert y.dtype == dtype
    if mode == "max":
        assert torch.equal(y, x.amax(2))


def test_every_maximum_gets_gradient():
    x = torch.randn(1, 2, 4, 3, 3, requires_grad=True)
    GroupPool(groups.P4())(x).sum().backward()
    assert torch.equal(x.grad.sum(2), torch.ones(1, 2, 3, 3))


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match=r"mode must be one of .*, got 'sum'"):
        GroupPool(groups.P4(), "sum")


def test_an_image_is_refused():
    with pytest.raises(ValueError, match=r"GroupPool takes a feature map .* got an image of shape"):
        GroupPool(groups.P4())(torch.zeros(1, 3, 4, 4))


def test_it_prints_its_group_and_mode():
    assert repr(GroupPool(groups.P4(), "mean")) == "GroupPool(P4(), 'mean')"
