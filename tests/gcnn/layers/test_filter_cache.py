"""Filters are remembered in eval mode, and never stale."""

import threading

import pytest
import torch
from torch import nn

from gcnn import groups
from gcnn.kernels import Form
from gcnn.layers import GroupConv, LiftingConv
from tests.gcnn.layers.networks import GROUPS, image, network

C8 = groups.SteerableSE2(8)
over_groups = pytest.mark.parametrize("group", GROUPS, ids=repr)


def fresh(layer, x):
    """What a new layer with the same weights computes."""
    other = LiftingConv(layer.group, layer.in_channels, layer.out_channels, layer.kernel_size)
    other.load_state_dict(layer.state_dict())
    return other(x)


def test_filters_are_expanded_once_in_eval_mode():
    layer = LiftingConv(C8, 2, 3, 5).eval()
    with torch.no_grad():
        first = layer.filters()
        assert layer.filters() is first
        layer.train()
        assert layer.filters() is not first


def test_frozen_weights_are_remembered_even_where_gradients_are_on():
    layer = LiftingConv(C8, 2, 3, 5).eval().requires_grad_(False)
    assert layer.filters() is layer.filters()


def test_filters_that_need_a_gradient_are_not_remembered():
    layer = LiftingConv(C8, 2, 3, 5).eval()
    with torch.no_grad():
        layer.filters()
    assert layer.filters().requires_grad


CHANGES = {
    "in place": lambda w: w.mul_(2),
    "through data": lambda w: w.data.add_(1),
    "one entry through data": lambda w: w.data.view(-1)[3:4].add_(0.5),
    "through a detached view": lambda w: w.detach()[0].zero_(),
    "data replaced": lambda w: setattr(w, "data", torch.randn_like(w)),
    "through numpy": lambda w: w.detach().numpy().__imul__(3),
    "drawn again": lambda w: nn.init.normal_(w),
    "copied into": lambda w: w.copy_(torch.ones_like(w)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_weights_changed_in_eval_mode_are_used(change):
    torch.manual_seed(0)
    layer, x = LiftingConv(C8, 2, 3, 5).eval(), torch.randn(1, 2, 7, 7)
    with torch.no_grad():
        before = layer(x)
        CHANGES[change](layer.weight)
        after = layer(x)
        assert not torch.allclose(after, before)
        assert torch.equal(after, fresh(layer, x))


def test_a_bias_changed_in_eval_mode_is_used():
    layer, x = LiftingConv(C8, 2, 3, 5).eval(), torch.randn(1, 2, 7, 7)
    with torch.no_grad():
        before = layer(x)
        layer.bias.data += 1
        torch.testing.assert_close(layer(x), before + 1)


def test_a_replaced_parameter_is_used():
    layer, x = LiftingConv(C8, 2, 3, 5).eval(), torch.randn(1, 2, 7, 7)
    with torch.no_grad():
        layer(x)
        layer.weight = nn.Parameter(torch.zeros_like(layer.weight))
        assert not layer(x).any()


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
def test_optimiser_steps_in_eval_mode_are_used(optimizer):
    torch.manual_seed(0)
    layer, x = LiftingConv(C8, 2, 3, 5).eval(), torch.randn(1, 2, 7, 7)
    steps = optimizer(layer.parameters(), lr=0.1)
    for _ in range(3):
        with torch.no_grad():
            assert torch.equal(layer(x), fresh(layer, x))
        steps.zero_grad()
        layer(x).square().mean().backward()
        steps.step()
    with torch.no_grad():
        assert torch.equal(layer(x), fresh(layer, x))


def test_a_checkpoint_loaded_in_eval_mode_is_used():
    layer, x = LiftingConv(C8, 2, 3, 5).eval(), torch.randn(1, 2, 7, 7)
    other = LiftingConv(C8, 2, 3, 5)
    with torch.no_grad():
        layer(x)
        layer.load_state_dict(other.state_dict())
        assert torch.equal(layer(x), other(x))


@over_groups
def test_two_backward_passes_in_eval_mode_give_the_gradient_twice(group):
    model, x = network(group).eval(), image(group)
    with torch.no_grad():
        model(x)
    model(x).sum().backward()
    once = [parameter.grad.clone() for parameter in model.parameters()]
    model(x).sum().backward()
    for parameter, grad in zip(model.parameters(), once, strict=True):
        torch.testing.assert_close(parameter.grad, 2 * grad)
    assert any(grad.any() for grad in once)


@over_groups
def test_eval_mode_computes_what_train_mode_does(group):
    x = image(group)
    model = nn.Sequential(*(part for part in network(group) if not hasattr(part, "eps")))
    expected = model(x)
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(x), expected)
        torch.testing.assert_close(model(x), expected)
    torch.testing.assert_close(model(x), expected)


@over_groups
def test_gradients_follow_a_pass_in_inference_mode(group):
    model, x = network(group).eval(), image(group)
    with torch.inference_mode():
        expected = model(x)
    torch.testing.assert_close(model(x), expected.clone())
    model(x).sum().backward()
    model.requires_grad_(False)
    x = x.clone().requires_grad_()
    model(x).sum().backward()
    assert x.grad.any()


@pytest.mark.parametrize("layer_type", [LiftingConv, GroupConv])
def test_casting_in_eval_mode_forgets_filters_of_the_old_dtype(layer_type):
    layer = layer_type(C8, 2, 3, 3, padding=1).eval()
    x = torch.randn(1, 2, *([8] if layer_type is GroupConv else []), 6, 6)
    with torch.no_grad():
        expected = layer(x)
        for dtype, tolerance in ((torch.float64, 1e-5), (torch.bfloat16, 0.1)):
            found = layer.to(dtype)(x.to(dtype))
            assert found.dtype == dtype
            torch.testing.assert_close(found.float(), expected, atol=tolerance, rtol=tolerance)


def test_threads_share_a_network():
    model, group = network(C8).eval(), C8
    inputs = [image(group) * (i + 1) for i in range(6)]
    with torch.no_grad():
        expected = [network(C8).eval()(x) for x in inputs]
    found = [None] * len(inputs)

    def work(i):
        with torch.no_grad():
            for _ in range(5):
                found[i] = model(inputs[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(inputs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_threads_in_different_precision_share_a_layer():
    group = groups.P4()
    layer = GroupConv(group, 4, 4, 3).eval()
    x = torch.randn(1, 4, 4, 8, 8)
    half, full = torch.bfloat16, torch.float32
    errors = []

    def work(dtype):
        try:
            with torch.no_grad(), torch.autocast("cpu", half, enabled=dtype == half):
                for _ in range(40):
                    assert layer(x).dtype == dtype
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(dtype,)) for dtype in (half, full) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_filters_of_several_forms_are_remembered_side_by_side():
    layer = GroupConv(C8, 2, 3, 3).eval().requires_grad_(False)
    forms = [Form(torch.float32), Form(torch.bfloat16), Form(torch.float32, last=True)]
    first = [layer.filters(form) for form in forms]
    assert all(layer.filters(form) is one for form, one in zip(forms, first, strict=True))
    layer.weight.data += 1
    assert all(layer.filters(form) is not one for form, one in zip(forms, first, strict=True))
