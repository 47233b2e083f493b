"""A training step of a U-Net goes over its features as often as that of a plain one, nearly."""

from collections import Counter

import pytest
import torch
from torch import nn

from gcnn import groups
from gcnn.models import UNet
from tests.gcnn.operations import Passes

COPIES = ("clone", "copy_", "_to_copy")


def passes(network, images, autocast):
    """How often each operation gives something as large as the features of the second level."""
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        network(images)
    with Passes(8 * 48 * 48 * len(images)) as found:
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            logits = network(images)
        logits.float().sum().backward()
    return Counter(found.names)


def pair(group):
    ours, wide = UNet(3, 1, group, (1, 1)), group.order
    plain = UNet(wide, 1, None, (wide, wide))
    plain.lift = nn.Sequential(nn.Conv2d(3, wide, 3, padding=1), nn.BatchNorm2d(wide), nn.ReLU())
    return ours, plain


@pytest.mark.parametrize("autocast", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels-last"])
def test_features_are_copied_by_the_pool_over_the_group_alone(autocast, last):
    layout = torch.channels_last if last else torch.contiguous_format
    images = torch.randn(2, 3, 96, 96).contiguous(memory_format=layout)
    ours, plain = (
        passes(network.to(memory_format=layout), images, autocast)
        for network in pair(groups.SteerableSE2(8))
    )
    assert sum(ours[name] - plain[name] for name in COPIES) == (3 if last else 1)


@pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels-last"])
def test_a_step_makes_little_more_features_than_that_of_a_plain_network(last):
    layout = torch.channels_last if last else torch.contiguous_format
    images = torch.randn(2, 3, 96, 96).contiguous(memory_format=layout)
    ours, plain = (
        passes(network.to(memory_format=layout), images, True)
        for network in pair(groups.SteerableSE2(8))
    )
    # Copy, comparison and product of the pool; in channels-last memory the gradient of a norm
    # takes two operations of this kind, where that of torch takes one.
    norms = plain["native_batch_norm"]
    assert ours.total() <= plain.total() + (5 + norms if last else 3)
