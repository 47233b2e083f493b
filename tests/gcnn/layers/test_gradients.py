"""Gradients, function transforms and parametrisations."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from gcnn import filters, groups, layers
from tests.gcnn.layers.networks import GROUPS, convolutions, image, network

C8 = groups.SteerableSE2(8)
SMALL = (groups.P4(), groups.SteerableSE2(4), groups.Dihedral(3))
over_groups = pytest.mark.parametrize("group", SMALL, ids=repr)


@pytest.mark.parametrize("training", [True, False])
@over_groups
def test_gradients_are_those_of_finite_differences(group, training):
    for layer, x in convolutions(group):
        layer.train(training)

        def run(x, weight, bias, layer=layer):
            return torch.func.functional_call(layer, {"weight": weight, "bias": bias}, (x,))

        inputs = (x[..., :3, :3].requires_grad_(), layer.weight, layer.bias)
        assert torch.autograd.gradcheck(run, inputs, fast_mode=True)


@over_groups
def test_second_derivatives_are_those_of_finite_differences(group):
    for layer, x in convolutions(group):

        def run(x, weight, layer=layer):
            return torch.func.functional_call(layer, {"weight": weight}, (x,)).tanh()

        inputs = (x[..., :3, :3].requires_grad_(), layer.weight)
        assert torch.autograd.gradgradcheck(run, inputs, fast_mode=True)


@pytest.mark.parametrize("group", GROUPS, ids=repr)
def test_functional_call_uses_the_weights_it_is_given(group):
    one, other, x = network(group).eval(), network(group, seed=3).eval(), image(group)
    with torch.no_grad():
        one(x), other(x)
        state = {**dict(other.named_parameters()), **dict(other.named_buffers())}
        found = torch.func.functional_call(one, state, (x,))
        torch.testing.assert_close(found, other(x))
        zeros = {name: torch.zeros_like(value) for name, value in one.named_parameters()}
        assert not torch.func.functional_call(one, zeros, (x,)).any()
        torch.testing.assert_close(one(x), network(group).eval()(x))


def test_an_ensemble_runs_under_vmap():
    models, x = [network(C8, seed=i).eval() for i in range(3)], image(C8)
    parameters, buffers = torch.func.stack_module_state(models)
    base = network(C8).eval()

    def run(parameters, buffers):
        return torch.func.functional_call(base, (parameters, buffers), (x,))

    found = torch.func.vmap(run)(parameters, buffers)
    with torch.no_grad():
        torch.testing.assert_close(torch.func.vmap(run)(parameters, buffers), found)
        for one, model in zip(found, models, strict=True):
            torch.testing.assert_close(one, model(x), atol=1e-5, rtol=1e-5)


def test_gradients_of_single_samples_under_vmap_sum_to_that_of_the_batch():
    model, x = network(C8).double().eval(), image(C8, batch=3, dtype=torch.float64)
    parameters = dict(model.named_parameters())

    def loss(parameters, one):
        return torch.func.functional_call(model, parameters, (one[None],)).square().sum()

    singles = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, x)
    model(x).square().sum().backward()
    for name, parameter in parameters.items():
        torch.testing.assert_close(singles[name].sum(0), parameter.grad)


def test_forward_mode_agrees_with_a_difference_quotient():
    layer, x = convolutions(C8)[1]
    tangent = torch.randn_like(layer.weight)

    def run(weight):
        return torch.func.functional_call(layer, {"weight": weight}, (x,))

    _, found = torch.func.jvp(run, (layer.weight.detach(),), (tangent,))
    expected = run(layer.weight + tangent) - run(layer.weight)  # The layer is linear in it.
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("training", [True, False])
def test_weight_norm_changes_and_trains_the_filters(training):
    layer = layers.GroupConv(C8, 2, 3, 3, padding=1)
    x = torch.randn(1, 2, 8, 5, 5)
    expected = layer(x)
    parametrizations.weight_norm(layer).train(training)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), expected)
        layer.parametrizations.weight.original0.mul_(2)
        torch.testing.assert_close(layer(x), 2 * expected)
    layer(x).sum().backward()
    assert layer.parametrizations.weight.original1.grad is not None
    parametrize.remove_parametrizations(layer, "weight")
    with torch.no_grad():
        torch.testing.assert_close(layer(x), 2 * expected)


def test_any_parametrisation_is_seen_in_eval_mode():
    class Scaled(nn.Module):
        factor = 1.0

        def forward(self, weight):
            return self.factor * weight

    layer, scaled = layers.LiftingConv(C8, 2, 3, 3).eval(), Scaled()
    parametrize.register_parametrization(layer, "weight", scaled)
    x = torch.randn(1, 2, 5, 5)
    with torch.no_grad():
        expected = layer(x)
        scaled.factor = 3.0
        torch.testing.assert_close(layer(x), 3 * expected)


def test_a_basis_first_built_in_inference_mode_can_be_trained_with():
    unusual = filters.OptimalSteerable(filters.Power(0.77))
    with torch.inference_mode():
        layers.LiftingConv(C8, 1, 1, 3, basis=unusual)
    layer = layers.LiftingConv(C8, 1, 1, 3, basis=unusual).double()
    layer(torch.randn(1, 1, 5, 5, dtype=torch.float64)).sum().backward()
    assert layer.weight.grad is not None


def test_an_anti_aliased_map_first_met_in_inference_mode_can_be_trained_with():
    layer = layers.AntiAliased(nn.ReLU(), dim=2)
    x = torch.randn(1, 1, 47, 53, dtype=torch.float64)
    with torch.inference_mode():
        layer(x)
    x.requires_grad_()
    layer(x).sum().backward()
    assert x.grad is not None


BATCHED = {
    "maximum": (lambda: layers.GroupPool(groups.P4(), "max"), (2, 3, 4, 6, 6), False),
    "maximum, channels-last": (lambda: layers.GroupPool(groups.P4()), (2, 3, 4, 6, 6), True),
    "norm": (lambda: layers.GroupBatchNorm(groups.P4(), 3), (2, 3, 4, 6, 6), False),
    "norm, channels-last": (lambda: layers.GroupBatchNorm(groups.P4(), 3), (2, 3, 4, 6, 6), True),
}


@pytest.mark.parametrize("case", BATCHED)
def test_gradients_for_a_batch_of_outputs_are_those_one_by_one(case):
    build, shape, last = BATCHED[case]
    torch.manual_seed(0)
    layer, x = build().double(), torch.randn(shape, dtype=torch.float64)
    if last:
        plain = x.flatten(1, 2).contiguous(memory_format=torch.channels_last)
        x = plain.unflatten(1, shape[1:3])
    inputs = (x.requires_grad_(), *layer.parameters())
    y = layer(x)
    given = torch.randn(3, *y.shape, dtype=torch.float64)
    found = torch.autograd.grad(y, inputs, given, is_grads_batched=True, retain_graph=True)
    for i, one in enumerate(given):
        expected = torch.autograd.grad(y, inputs, one, retain_graph=True)
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a[i], b, atol=1e-10, rtol=1e-10)
