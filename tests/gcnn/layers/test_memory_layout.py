"""Telling channels-last tensors, and keeping them so."""

import pytest
import torch
from torch import nn

from gcnn import groups, layers
from gcnn.layers.memory_layout import in_layout_of, is_channels_last

FORMATS = {2: torch.channels_last, 3: torch.channels_last_3d}


def features(*shape):
    """A feature map that is channels-last with its elements as the fastest axis."""
    x = torch.randn(shape)
    plain = x.flatten(1, 2).contiguous(memory_format=FORMATS[len(shape) - 3])
    return plain.unflatten(1, shape[1:3])


@pytest.mark.parametrize("dim", [2, 3])
def test_images_and_feature_maps_are_told_apart_by_their_strides(dim):
    size = (4, 5, 6)[:dim]
    image = torch.randn(2, 3, *size)
    assert is_channels_last(image.contiguous(memory_format=FORMATS[dim]), dim)
    assert is_channels_last(features(2, 3, 8, *size), dim)
    assert not is_channels_last(image, dim)
    assert not is_channels_last(torch.randn(2, 3, 8, *size), dim)


@pytest.mark.parametrize(
    "x",
    [
        torch.randn(2, 3, 5, 4).mT,
        torch.randn(2, 3, 4, 8)[..., ::2],
        torch.randn(2, 6, 4, 4)[:, ::2],
        torch.randn(3, 2, 4, 4).transpose(0, 1),
        torch.randn(2, 3, 8, 4, 4).transpose(1, 2),
        torch.randn(2, 1, 4, 4),
        torch.randn(2, 3, 1, 1),
        torch.empty(0, 3, 4, 4).contiguous(memory_format=torch.channels_last),
    ],
    ids=lambda x: f"{tuple(x.shape)}-{x.stride()}",
)
def test_what_is_not_channels_last_or_not_only_that_is_left_alone(x):
    assert not is_channels_last(x, 2)
    y = torch.randn(2, 5, 4, 4)
    assert in_layout_of(x, y, 2) is y


def test_signals_have_no_such_layout():
    assert not is_channels_last(torch.randn(2, 5, 3).mT, 1)


def test_a_result_takes_the_layout_of_the_input():
    x = features(2, 3, 8, 4, 4)
    assert is_channels_last(in_layout_of(x, torch.randn(2, 5, 8, 4, 4), 2), 2)
    assert is_channels_last(in_layout_of(x, torch.randn(2, 3, 4, 4), 2), 2)


@pytest.mark.parametrize("dim", [2, 3])
def test_a_network_can_be_put_in_channels_last_although_its_weights_are_no_images(dim):
    group = groups.ScaleTranslation([1.0, 0.8], dim)
    network = nn.Sequential(layers.LiftingConv(group, 2, 2, 3), layers.GroupConv(group, 2, 2, 3))
    before = [weight.clone() for weight in network.parameters()]
    network.to(memory_format=FORMATS[dim])
    for weight, expected in zip(network.parameters(), before, strict=True):
        torch.testing.assert_close(weight, expected)
    x = torch.randn(1, 2, *(9,) * dim).contiguous(memory_format=FORMATS[dim])
    assert is_channels_last(network(x), dim)
