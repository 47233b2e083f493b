"""Weights of former versions give the outputs that they gave there.

The expected numbers were printed by version 0.1.0 for these weights and images: the sum of the
output, the sum of its absolute values, and one pixel.
"""

import pytest
import torch
from torch import nn

from gcnn import filters, groups, layers

RINGS = groups.SteerableSE2(8, filters.CircularHarmonics())
EXPECTED = {
    (groups.P4(), 3): (-8923.72817992, 21056.9116485, -167.825791315),
    (groups.P4(), 5): (2943.1383239, 37553.3229256, 51.7741614918),
    (groups.P4M(), 3): (2708.67922591, 27684.8894589, -55.0860057217),
    (groups.P4M(), 5): (21133.9816087, 87328.0281706, 537.139678854),
    (groups.SE2(8), 3): (3501.30919137, 18421.8425937, -116.939585878),
    (groups.SE2(8), 5): (14012.5388153, 62013.4910844, 290.136713355),
    (groups.SteerableSE2(8), 3): (-4418.85378455, 11711.9638002, -3.45622890135),
    (groups.SteerableSE2(8), 5): (-41321.6612459, 42260.6240499, -96.7493007597),
    (groups.SteerableSE2(12), 3): (-56146.1378107, 63795.7436694, -73.0985698367),
    (groups.SteerableSE2(12), 5): (-81278.0452726, 214903.198689, -1413.68387015),
    (groups.Dihedral(3), 3): (29718.1905033, 29735.5787655, 55.4196279359),
    (groups.Dihedral(3), 5): (-7464.59158271, 29838.0527024, -44.8971545758),
    (RINGS, 3): (28993.5986387, 29156.4282298, 184.860099293),
    (RINGS, 5): (-29772.72107, 34107.3715069, -291.863668097),
}


@pytest.mark.parametrize(("group", "kernel_size"), EXPECTED, ids=str)
def test_planar_weights_give_the_outputs_they_gave(group, kernel_size):
    network = nn.Sequential(
        layers.LiftingConv(group, 2, 3, kernel_size, padding=kernel_size // 2),
        nn.ReLU(),
        layers.GroupConv(group, 3, 4, kernel_size, padding=kernel_size // 2),
        nn.ReLU(),
        layers.GroupConvTranspose(group, 4, 2, 4, stride=2, padding=1),
        layers.GroupPool(group, "mean"),
    ).double()
    generator = torch.Generator().manual_seed(1)
    weights = {
        name: torch.randn(value.shape, generator=generator, dtype=torch.float64)
        for name, value in network.named_parameters()
    }
    assert str(network.load_state_dict(weights)) == "<All keys matched successfully>"
    image = torch.randn(1, 2, 6, 8, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        y = network(image)
    found = (y.sum().item(), y.abs().sum().item(), y[0, 1, 3, 4].item())
    assert found == pytest.approx(EXPECTED[group, kernel_size], rel=1e-9)
