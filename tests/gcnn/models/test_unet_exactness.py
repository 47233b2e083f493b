"""Whole U-Nets commute with the elements that map the grid onto itself, to rounding error."""

import pytest
import torch
from torch import nn

from gcnn import filters, groups
from gcnn.models import UNet
from tests.gcnn.cases import cube, equivariance_error, left_right

EXACT = 1e-10
GROUPS = (
    groups.P4(),
    groups.P4M(),
    groups.SE2(8),
    groups.SteerableSE2(8),
    groups.SteerableSE2(12),
    groups.SteerableSE2(8, filters.CircularHarmonics()),
    groups.Dihedral(3),
    groups.Dihedral(8),
    left_right(),
)


def trained(model, x):
    """In float64 and eval mode, with weights and statistics that are not those of the start."""
    torch.manual_seed(1)
    model = model.double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    with torch.no_grad():
        model(x)
    return model.eval()


@pytest.mark.parametrize("size", [(16, 16), (8, 12)])
@pytest.mark.parametrize("group", GROUPS, ids=repr)
def test_a_unet_on_any_group_and_on_images_that_are_not_square(group, size):
    x = torch.randn(1, 2, *size, dtype=torch.float64)
    assert equivariance_error(trained(UNet(2, 1, group, (2, 2, 3)), x), group, x) < EXACT


@pytest.mark.parametrize(
    "options",
    [
        {"downsampling": "average"},
        {"downsampling": "blur"},
        {"norm": "instance"},
        {"norm": "none"},
        {"pool": "mean"},
        {"activation": nn.SiLU},
        {"anti_aliased": True},
        {"anti_aliased": True, "downsampling": "blur", "norm": "instance", "pool": "mean"},
        {"dropout": 0.3},
        {"kernel_size": 5},
        {"kernel_size": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("group", [groups.P4M(), groups.SteerableSE2(8)], ids=repr)
def test_every_option(group, options):
    x = torch.randn(1, 1, 8, 12, dtype=torch.float64)
    model = trained(UNet(1, 2, group, (2, 3), **options), x)
    assert equivariance_error(model, group, x) < EXACT


@pytest.mark.parametrize("group", [groups.P4(), groups.SteerableSE2(12)], ids=repr)
def test_in_train_mode_too(group):
    x = torch.randn(2, 1, 8, 8, dtype=torch.float64)
    model = trained(UNet(1, 1, group, (2, 3)), x).train()
    assert equivariance_error(model, group, x) < EXACT


def test_a_volume_under_the_rotations_of_the_cube():
    x = torch.randn(1, 1, 4, 4, 8, dtype=torch.float64)
    assert equivariance_error(trained(UNet(1, 1, cube(), (1, 2)), x), cube(), x) < EXACT


def test_the_plain_network_does_not_commute():
    x = torch.randn(1, 3, 16, 16, dtype=torch.float64)
    model = trained(UNet(3, 1, channels=(2, 3)), x)
    assert equivariance_error(model, groups.P4(), x) > 0.01
