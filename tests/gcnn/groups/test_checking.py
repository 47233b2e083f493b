"""What is given for a group and is none is named, with the call that was meant."""

import re

import pytest
import torch

from gcnn import equivariance, groups, layers
from gcnn.models import UNet

TAKE_A_GROUP = {
    "require_group": groups.require_group,
    "LiftingConv": lambda group: layers.LiftingConv(group, 1, 1, 3),
    "GroupConv": lambda group: layers.GroupConv(group, 1, 1, 3),
    "GroupConvTranspose": lambda group: layers.GroupConvTranspose(group, 1, 1, 3),
    "SeparableGroupConv": lambda group: layers.SeparableGroupConv(group, 1, 1, 3),
    "GroupPool": layers.GroupPool,
    "GroupBatchNorm": lambda group: layers.GroupBatchNorm(group, 1),
    "GroupInstanceNorm": lambda group: layers.GroupInstanceNorm(group, 1),
    "UNet": lambda group: UNet(1, 1, group, (2,)),
    "equivariance_error": lambda group: equivariance.equivariance_error(torch.nn.ReLU(), group),
    "layer_errors": lambda group: equivariance.layer_errors(torch.nn.ReLU(), group),
    "check_group": equivariance.check_group,
}


def test_a_group_is_given_back():
    group = groups.P4M()
    assert groups.require_group(group) is group


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (groups.P4, "the class P4; use P4()"),
        (groups.SE2, "the class SE2; use SE2(n)"),
        (groups.ScaleTranslation, "the class ScaleTranslation; use ScaleTranslation(scales)"),
        ("p4", "'p4'; use groups.P4()"),
        ("SteerableSE2", "'SteerableSE2'; use groups.SteerableSE2(n)"),
        ("E8", "'E8'; use for example groups.P4()"),
        (8, "8; use for example groups.P4()"),
        (torch.nn.ReLU, "<class 'torch.nn.modules.activation.ReLU'>; use for example"),
    ],
)
def test_what_is_no_group_is_named_with_what_would_be_one(given, found):
    message = f"group must be a gcnn.groups.Group, got {found}"
    with pytest.raises(TypeError, match=re.escape(message)):
        groups.require_group(given)


@pytest.mark.parametrize("take", TAKE_A_GROUP.values(), ids=TAKE_A_GROUP)
@pytest.mark.parametrize("given", [groups.P4, "p4"])
def test_everything_that_takes_a_group_says_so(take, given):
    with pytest.raises(TypeError, match=r"group must be a gcnn\.groups\.Group, got"):
        take(given)
