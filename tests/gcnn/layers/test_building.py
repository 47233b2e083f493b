"""Layers can be built anywhere, moved anywhere, and in no time."""

import statistics
import time

import pytest
import torch
from torch import nn

from gcnn import groups, layers
from tests.gcnn.layers.networks import GROUPS, image, network

C8 = groups.SteerableSE2(8)
over_groups = pytest.mark.parametrize("group", GROUPS, ids=repr)


@pytest.mark.parametrize(
    "group",
    [groups.SteerableSE2(8), groups.SE2(8), groups.ScaleTranslation([0.9**i for i in range(8)])],
    ids=repr,
)
def test_a_layer_of_1024_channels_is_built_in_a_fifth_of_a_second(group):
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        layer = layers.GroupConv(group, 128, 128, 7)
        seconds.append(time.perf_counter() - start)
    outputs, inputs, *kernel = layer.filters().shape
    assert (outputs, inputs * layer.kernel.arrangement.blocks, *kernel) == (1024, 1024, 7, 7)
    assert statistics.median(seconds) < 0.2


@over_groups
def test_a_network_on_the_meta_device_becomes_real_with_a_checkpoint(group):
    expected, x = network(group).eval(), image(group)
    with torch.device("meta"):
        model = network(group)
    assert all(value.is_meta for value in model.parameters())
    model = model.to_empty(device="cpu")
    model.load_state_dict(expected.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(x), expected(x))


@over_groups
def test_a_network_on_the_meta_device_takes_the_tensors_of_a_checkpoint(group):
    expected, x = network(group).double().eval(), image(group, dtype=torch.float64)
    with torch.device("meta"):
        model = network(group)
    model.load_state_dict(expected.state_dict(), assign=True)
    tables = [buffer for buffer in model.buffers() if buffer.is_floating_point()]
    assert all(table.dtype == torch.float64 and not table.is_meta for table in tables)
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(x), expected(x))


@over_groups
def test_a_network_on_the_meta_device_says_the_shape_of_its_output(group):
    with torch.device("meta"):
        model = network(group)
        y = model(torch.empty(4, 2, *(6,) * group.dim))
    assert y.is_meta and y.shape == (4, 3, *(6,) * group.dim)


def test_layers_take_a_device():
    layer = layers.GroupConv(C8, 2, 3, 3, padding=1, device="meta")
    assert layer.weight.is_meta
    assert layer(torch.empty(1, 2, 8, 5, 5, device="meta")).shape == (1, 3, 8, 5, 5)
    real = layer.to_empty(device="cpu")
    real.reset_parameters()
    assert real(torch.randn(1, 2, 8, 5, 5)).isfinite().all()


@over_groups
def test_a_checkpoint_in_float64_assigned_to_a_float32_network_is_exact(group):
    expected, x = network(group).double().eval(), image(group, dtype=torch.float64)
    model = network(group, seed=4).eval()
    with torch.no_grad():
        model(x.float())
        model.load_state_dict(expected.state_dict(), assign=True)
        torch.testing.assert_close(model(x), expected(x), atol=1e-12, rtol=1e-12)


def test_a_parameter_of_another_dtype_brings_its_tables_along():
    layer, x = layers.LiftingConv(C8, 2, 3, 5), torch.randn(1, 2, 7, 7, dtype=torch.float64)
    weight, bias = layer.weight.detach().double(), layer.bias.detach().double()
    layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(bias)
    found = layer(x)
    other = layers.LiftingConv(C8, 2, 3, 5).double()
    other.load_state_dict({"weight": weight, "bias": bias})
    torch.testing.assert_close(found, other(x), atol=1e-13, rtol=0)


def test_building_under_another_default_device_gives_a_working_basis():
    with torch.device("meta"):
        group = groups.SteerableSE2(4)
        layers.LiftingConv(group, 1, 1, 9)
    layer = layers.LiftingConv(group, 1, 1, 9)
    assert layer(torch.randn(1, 1, 9, 9)).isfinite().all()


def test_equal_seeds_give_equal_weights_and_the_random_state_is_used_for_nothing_else():
    torch.manual_seed(0)
    one = layers.GroupConv(C8, 2, 3, 3)
    after = torch.rand(1)
    torch.manual_seed(0)
    other = layers.GroupConv(C8, 2, 3, 3)
    assert torch.equal(one.weight, other.weight)
    assert torch.equal(torch.rand(1), after)
