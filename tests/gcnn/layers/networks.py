"""A small network with every kind of state, and layers to test alone."""

import torch
from torch import nn

from gcnn import groups, layers
from tests.gcnn.cases import SCALES, cube

CLOSED = (groups.P4(), groups.SteerableSE2(8), groups.Dihedral(3), cube())
GROUPS = CLOSED + SCALES[1:]


def network(group, seed=0):
    """Image with 2 channels in, image with 3 channels out."""
    torch.manual_seed(seed)
    built = nn.Sequential(
        layers.LiftingConv(group, 2, 3, 3, padding="same"),
        layers.GroupBatchNorm(group, 3),
        nn.ReLU(),
        layers.GroupConv(group, 3, 3, 3, padding="same"),
        layers.GroupPool(group.target),
    )
    nn.init.normal_(built[0].bias)
    nn.init.normal_(built[3].bias)
    return built


def image(group, batch=2, dtype=torch.float32, edge=5):
    generator = torch.Generator().manual_seed(1)
    size = (edge,) * group.dim
    return torch.randn(batch, 2, *size, generator=generator, dtype=torch.float64).to(dtype)


def convolutions(group):
    """A lifting and a group convolution with inputs `(layer, x)`, in float64."""
    torch.manual_seed(0)
    size = (4,) * group.dim
    lifting = layers.LiftingConv(group, 1, 2, 3, padding="same")
    between = layers.GroupConv(group, 1, 2, 3, padding="same")
    return (
        (lifting.double(), torch.randn(1, 1, *size, dtype=torch.float64)),
        (between.double(), torch.randn(1, 1, group.order, *size, dtype=torch.float64)),
    )
