"""The table that shows where equivariance is lost."""

import pytest
import torch
from torch import nn

from gcnn import groups, layers
from gcnn.equivariance import Blobs, layer_errors
from gcnn.models import UNet

P4 = groups.P4()


def test_an_equivariant_network_loses_nothing_anywhere():
    torch.manual_seed(0)
    network = UNet(1, 1, P4, (2, 3)).double()
    table = layer_errors(network, P4, Blobs(size=16))
    assert max(row.error for row in table.rows) < 1e-10
    assert max(row.own for row in table.rows) < 1e-10
    convolutions = [row.name for row in table.rows if "Conv" in row.kind]
    assert convolutions[0] == "lift.0" and convolutions[-1] == "head"


def test_the_layer_that_breaks_equivariance_stands_out():
    torch.manual_seed(0)
    network = nn.Sequential(
        layers.LiftingConv(P4, 1, 2, 3, padding=1),
        nn.ReLU(),
        layers.GroupPool(P4),
        nn.Conv2d(2, 2, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(2, 1, 1),
    ).double()
    rows = layer_errors(network, P4, Blobs(size=15)).rows
    assert [row.kind for row in rows] == [
        "LiftingConv", "ReLU", "GroupPool", "Conv2d", "ReLU", "Conv2d",
    ]  # fmt: skip
    assert [row.own > 0.01 for row in rows] == [False, False, False, True, False, False]
    assert [row.error > 0.01 for row in rows] == [False, False, False, True, True, True]
    assert rows[0].shape == (4, 2, 4, 15, 15)


def test_a_layer_used_twice_has_two_rows_and_in_place_layers_spoil_nothing():
    relu = nn.ReLU(inplace=True)
    network = nn.Sequential(
        layers.LiftingConv(P4, 1, 2, 3, padding=1), relu, layers.GroupConv(P4, 2, 2, 1), relu
    ).double()
    rows = layer_errors(network, P4, Blobs(size=9)).rows
    assert [row.name for row in rows] == ["0", "1", "2", "1"]
    assert max(row.error for row in rows) < 1e-10 and max(row.own for row in rows) < 1e-10


def test_layers_whose_output_the_group_cannot_move_have_no_row():
    network = nn.Sequential(layers.GroupPool(P4), nn.Flatten(), nn.Linear(2 * 81, 3))
    x = torch.randn(1, 2, 4, 9, 9)
    rows = layer_errors(network, P4, x).rows
    assert [row.kind for row in rows] == ["GroupPool"]


def test_hooks_are_gone_afterwards_and_modes_restored():
    network = UNet(1, 1, P4, (2, 3)).train()
    layer_errors(network, P4, Blobs(size=8))
    assert all(not module._forward_hooks for module in network.modules())
    assert all(module.training for module in network.modules())
    with pytest.raises(ValueError, match="multiple of 2"):
        layer_errors(network, P4, Blobs(size=9))
    assert all(not module._forward_hooks for module in network.modules())


def test_between_the_grid_angles_errors_add_up_and_the_floor_stands_beside():
    torch.manual_seed(0)
    group = groups.SteerableSE2(8)
    network = nn.Sequential(
        layers.LiftingConv(group, 1, 4, 5, padding="same", bias=False),
        nn.ReLU(),
        layers.GroupConv(group, 4, 4, 5, padding="same", bias=False),
    ).double()
    rows = layer_errors(network, group, Blobs(size=49, batch=2)).rows
    assert rows[0].error < rows[2].error < 0.05
    assert all(0 < row.floor < row.error for row in rows)


def test_on_scales_the_pooling_over_a_window_is_what_does_not_commute():
    torch.manual_seed(0)
    group = groups.ScaleTranslation([1.0, 0.9, 0.81, 0.729], 2, 2, scale_padding="valid")
    network = nn.Sequential(
        layers.LiftingConv(group, 1, 4, 7, padding="same"),
        nn.ReLU(),
        layers.GroupConv(group, 4, 4, 7, padding="same"),
        layers.GroupPool(group.target),
    ).double()
    lift, relu, conv, pool = layer_errors(network, group, Blobs(size=49, batch=2)).rows
    assert [row.shape[2:-2] for row in (lift, relu, conv, pool)] == [(4,), (4,), (3,), ()]
    assert max(row.error for row in (lift, relu, conv)) < 0.03
    assert max(row.own for row in (lift, conv)) < 0.02
    # The maximum also sees the scale that moves in, and one less of those that were there.
    assert pool.error > 3 * conv.error and pool.own > 10 * conv.own


def test_a_table_prints_a_row_for_every_layer():
    network = nn.Sequential(layers.LiftingConv(P4, 1, 1, 3), nn.ReLU())
    lines = str(layer_errors(network, P4, Blobs(size=9), element=2)).splitlines()
    assert lines[0] == "P4(), element 2"
    assert lines[1].split()[:2] == ["layer", "class"]
    assert [line.split()[1] for line in lines[2:]] == ["LiftingConv", "ReLU"]
