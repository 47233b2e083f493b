"""Derivatives axis by axis: those of finite differences, and nothing kept but the input."""

import pytest
import torch

from gcnn import groups
from gcnn.layers import GroupConv, GroupConvTranspose, LiftingConv
from tests.gcnn.kernels.axis_by_axis.forced import by_axes

LAYERS = (LiftingConv, GroupConv, GroupConvTranspose)
over_layers = pytest.mark.parametrize("layer_type", LAYERS, ids=lambda kind: kind.__name__)
GROUP = groups.ScaleTranslation([1.0, 0.8], interaction=2)


def build(layer_type, edge=4, **options):
    torch.manual_seed(0)
    layer = layer_type(GROUP, 1, 2, 3, padding=1, **options).double()
    elements = () if layer_type is LiftingConv else (2,)
    return layer, torch.randn(1, 1, *elements, edge, edge, dtype=torch.float64)


def function_of(layer):
    def run(x, weight):
        return torch.func.functional_call(layer, {"weight": weight}, (x,))

    return run


@pytest.mark.parametrize("expanded", [0, 1])
@over_layers
def test_first_derivatives_are_those_of_finite_differences(layer_type, expanded):
    layer, x = build(layer_type)
    with by_axes(expanded, thickness=3):
        inputs = (x.requires_grad_(), layer.weight)
        assert torch.autograd.gradcheck(function_of(layer), inputs)


@over_layers
def test_second_derivatives_are_those_of_finite_differences(layer_type):
    layer, x = build(layer_type)
    run = function_of(layer)
    with by_axes():
        inputs = (x.requires_grad_(), layer.weight)
        assert torch.autograd.gradgradcheck(
            lambda *given: run(*given).tanh(), inputs, fast_mode=True
        )


@over_layers
def test_a_penalty_on_the_gradient_can_be_minimised(layer_type):
    layer, x = build(layer_type)
    with by_axes():
        (slope,) = torch.autograd.grad(
            layer(x.requires_grad_()).square().sum(), x, create_graph=True
        )
        slope.square().sum().backward()
    assert layer.weight.grad.isfinite().all() and layer.weight.grad.any()


@over_layers
def test_what_needs_no_gradient_gets_none(layer_type):
    layer, x = build(layer_type)
    with by_axes():
        layer(x).sum().backward()
        assert x.grad is None and layer.weight.grad is not None
        layer.requires_grad_(False).zero_grad()
        layer(x.requires_grad_()).sum().backward()
        assert x.grad is not None and layer.weight.grad is None


@over_layers
def test_only_the_input_and_the_weights_are_kept_for_the_gradient(layer_type):
    group = groups.ScaleTranslation([1.0, 0.8], 3, interaction=2)
    layer = layer_type(group, 2, 2, 5, padding=2)
    elements = () if layer_type is LiftingConv else (2,)
    x, kept = torch.randn(1, 2, *elements, 9, 9, 9, requires_grad=True), {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with by_axes(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        y = layer(x)
    volume = x.untyped_storage().nbytes()
    # Mixing has zeros where a pair of leaves is no function: at most 3 times 6 leaves for 10.
    mixing = 18 / 10 * layer.weight.nbytes
    assert x.data_ptr() in kept
    assert sum(kept.values()) <= volume + mixing + 1000
    assert y.grad_fn is not None


def test_gradients_for_a_batch_of_outputs_by_torch_func_are_those_one_by_one():
    torch.manual_seed(0)
    layer = GroupConv(groups.ScaleTranslation([1.0, 0.8], dim=3), 2, 2, 7, padding=3).double()
    x = torch.randn(1, 2, 2, 12, 12, 12, dtype=torch.float64, requires_grad=True)
    inputs = (x, *layer.parameters())
    with by_axes():
        y = layer(x)
    given = torch.randn(3, *y.shape, dtype=torch.float64)

    def gradients(one):
        return torch.autograd.grad(y, inputs, one, retain_graph=True)

    found = torch.func.vmap(gradients)(given)
    for i, one in enumerate(given):
        for a, b in zip(found, gradients(one), strict=True):
            torch.testing.assert_close(a[i], b, atol=1e-10, rtol=1e-10)
