"""Which way a convolution takes."""

import pytest
import torch

from gcnn import groups
from gcnn.layers import GroupConv, GroupConvTranspose, LiftingConv
from gcnn.layers.convolution import Convolution

SCALES = [0.9**i for i in range(4)]


def takes_dense_filters(layer, x):
    """Whether a layer builds dense filters to convolve x."""
    built = []
    original = Convolution.filters

    def filters(self, form=None):
        built.append(self)
        return original(self, form)

    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(Convolution, "filters", filters)
        layer(x)
    return bool(built)


@pytest.mark.parametrize(("kernel_size", "dense"), [(3, True), (7, False), (9, False)])
@pytest.mark.parametrize("interaction", [1, 2])
def test_small_kernels_are_dense_and_large_ones_are_done_axis_by_axis(
    kernel_size, dense, interaction
):
    group = groups.ScaleTranslation(SCALES, 3, interaction)
    layer = GroupConv(group, 8, 8, kernel_size, padding="same")
    problem = layer._axes.problem(torch.empty(1), (32, 32, 32), layer.weight)
    assert (problem.cheapest() is None) is dense


def test_layers_follow_the_choice():
    group = groups.ScaleTranslation(SCALES[:2], 3)
    for kernel_size, dense in ((3, True), (9, False)):
        layer = GroupConv(group, 4, 4, kernel_size, padding="same")
        x = torch.zeros(1, 4, 2, 16, 16, 16)
        assert takes_dense_filters(layer, x) is dense


@pytest.mark.parametrize("dim", [2, 3])
def test_a_single_pixel_only_mixes_channels(dim):
    layer = GroupConv(groups.ScaleTranslation(SCALES, dim), 8, 8, 1)
    way = layer._axes.problem(torch.empty(1), (32,) * dim, layer.weight).cheapest()
    assert [tree.axes for tree in way.trees] == [(), ()]


@pytest.mark.parametrize("layer_type", [LiftingConv, GroupConv, GroupConvTranspose])
def test_the_choice_is_remembered_for_every_size_and_dtype(layer_type):
    layer = layer_type(groups.ScaleTranslation(SCALES[:2], 3), 4, 4, 9, padding=4)
    elements = () if layer_type is LiftingConv else (2,)
    with torch.no_grad():
        for edge in (16, 18, 16, 18):
            layer(torch.zeros(1, 4, *elements, edge, edge, edge))
        assert len(layer._axes._plans) == 2
        assert [problem.size for problem in layer._axes._plans] == [(16,) * 3, (18,) * 3]


def test_many_sizes_do_not_pile_up():
    layer = LiftingConv(groups.ScaleTranslation(SCALES[:2], 2), 1, 1, 3, padding=1)
    with torch.no_grad():
        for edge in range(3, 60):
            layer(torch.zeros(1, 1, edge, 4))
    assert len(layer._axes._plans) <= 16


def test_half_precision_takes_the_way_of_full_precision():
    layer = GroupConv(groups.ScaleTranslation(SCALES[:2], 3), 4, 4, 9, padding=4)
    x = torch.zeros(1, 4, 2, 16, 16, 16)
    assert not takes_dense_filters(layer, x)
    with torch.autocast("cpu", torch.bfloat16):
        assert not takes_dense_filters(layer, x)
    assert not takes_dense_filters(layer.bfloat16(), x.bfloat16())
