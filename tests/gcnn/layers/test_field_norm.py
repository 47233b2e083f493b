"""Batch normalisation of fields on processors, beside `torch.nn.BatchNorm1d` and float64."""

import copy
import math

import pytest
import torch

from gcnn import groups
from gcnn.layers import GroupBatchNorm, field_norm
from gcnn.layers.memory_layout import is_channels_last
from tests.gcnn.cases import cube
from tests.gcnn.operations import Passes

FORMATS = {2: torch.channels_last, 3: torch.channels_last_3d}
GROUPS = (groups.P4(), groups.SteerableSE2(8), groups.Dihedral(3), cube())
OPTIONS = (
    {},
    {"momentum": None},
    {"affine": False},
    {"track_running_stats": False},
    {"eps": 0.5, "momentum": 0.7, "affine": False, "track_running_stats": False},
)
RESOLUTION = torch.finfo(torch.float32).eps
over_groups = pytest.mark.parametrize("group", GROUPS, ids=repr)
over_options = pytest.mark.parametrize("options", OPTIONS, ids=str)


def channels_last(x, dim):
    plain = x.flatten(1, 2).contiguous(memory_format=FORMATS[dim])
    return plain.unflatten(1, x.shape[1:3])


def features(group, dtype=torch.float64, size=(3, 4, 2), last=True):
    """A feature map whose fields and elements have means and variances of their own."""
    x = torch.randn(3, 2, group.order, *size[: group.dim], dtype=torch.float64)
    x = x * torch.rand(2, group.order, *(1,) * group.dim) + torch.randn(
        2, group.order, *(1,) * group.dim
    )
    x = x.to(dtype)
    return (channels_last(x, group.dim) if last else x).requires_grad_()


def drawn(layer):
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_()
    return layer


class OfTorch(torch.nn.BatchNorm1d):
    """The definition: elements and places are the space of a signal."""

    def forward(self, x):
        return super().forward(x.reshape(*x.shape[:2], -1)).view(x.shape)


def pair(group, **options):
    ours = drawn(GroupBatchNorm(group, 2, **options).double())
    theirs = OfTorch(2, **options).double()
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def gradients(layer, x, upstream):
    y = layer(x)
    return y, torch.autograd.grad(y, [x, *layer.parameters()], upstream)


@over_groups
@over_options
@pytest.mark.parametrize("last", [True, False], ids=["channels-last", "contiguous"])
def test_outputs_gradients_and_statistics_are_those_of_torch(group, options, last):
    torch.manual_seed(0)
    ours, theirs = pair(group, **options)
    for _ in range(3):
        x = features(group, last=last)
        upstream = torch.randn(x.shape, dtype=x.dtype)
        torch.testing.assert_close(gradients(ours, x, upstream), gradients(theirs, x, upstream))
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())
    x = features(group, last=last)
    upstream = torch.randn(x.shape, dtype=x.dtype)
    ours.eval(), theirs.eval()
    torch.testing.assert_close(gradients(ours, x, upstream), gradients(theirs, x, upstream))
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())


@over_groups
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("parameters", ["full", "same"])
@pytest.mark.parametrize("training", [True, False])
def test_other_dtypes_differ_by_their_rounding(group, dtype, parameters, training):
    torch.manual_seed(0)
    ours, theirs = pair(group)
    ours.train(training), theirs.train(training)
    x = features(group, dtype, size=(6, 7, 5))
    upstream = channels_last(torch.randn(x.shape), group.dim).to(dtype)
    exact = x.detach().double().requires_grad_()
    if parameters == "same":
        ours.to(dtype)
        theirs.load_state_dict(ours.state_dict())
    ours = ours.float() if parameters == "full" else ours
    y, found = gradients(ours, x, upstream)
    expected_y, expected = gradients(theirs, exact, upstream.double())
    assert y.dtype == x.dtype
    assert is_channels_last(y, group.dim)
    count = x.numel() / 2
    for one, other in zip((y, *found), (expected_y, *expected), strict=True):
        resolution = max(torch.finfo(dtype).eps, math.sqrt(count) * torch.finfo(torch.float32).eps)
        torch.testing.assert_close(
            one.double(), other, rtol=2 * resolution, atol=2 * resolution * other.abs().max().item()
        )


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("last", [True, False], ids=["channels-last", "contiguous"])
def test_first_and_second_derivatives_are_right(affine, last):
    torch.manual_seed(0)
    group = groups.P4()
    layer = drawn(GroupBatchNorm(group, 2, affine=affine, track_running_stats=False).double())
    x = features(group, size=(2, 2), last=last)
    names = [name for name, _ in layer.named_parameters()]

    def call(x, *parameters):
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), x)

    inputs = (x, *layer.parameters())
    assert is_channels_last(x, 2) is last
    assert torch.autograd.gradcheck(call, inputs)
    assert torch.autograd.gradgradcheck(call, inputs)


def test_parameters_may_be_held_fixed_and_so_may_the_input():
    layer = drawn(GroupBatchNorm(groups.P4(), 2).double())
    x = features(groups.P4())
    upstream = torch.randn(x.shape, dtype=x.dtype)
    full = gradients(layer, x, upstream)[1]
    (alone,) = torch.autograd.grad(layer(x.detach()), [layer.weight], upstream)
    torch.testing.assert_close(alone, full[1])
    layer.requires_grad_(False)
    (alone,) = torch.autograd.grad(layer(x), [x], upstream)
    torch.testing.assert_close(alone, full[0])


def test_function_transforms_and_forward_differentiation_see_the_definition():
    group = groups.P4()
    layer = drawn(GroupBatchNorm(group, 2, track_running_stats=False).double())
    x = features(group).detach()
    tangent = torch.randn_like(x)
    plain = copy.deepcopy(layer)

    def loss(x):
        return layer(x).pow(3).sum()

    def expected(x):
        return plain(x.contiguous()).pow(3).sum()

    torch.testing.assert_close(torch.func.grad(loss)(x), torch.func.grad(expected)(x))
    torch.testing.assert_close(
        torch.func.jvp(loss, (x,), (tangent,)), torch.func.jvp(expected, (x,), (tangent,))
    )
    batch = torch.stack([x, 2 * x])
    torch.testing.assert_close(torch.vmap(loss)(batch), torch.vmap(expected)(batch))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_training_step_goes_over_the_features_as_seldom_as_it_can(dtype):
    layer = GroupBatchNorm(groups.SteerableSE2(8), 2)
    x = features(groups.SteerableSE2(8), dtype)
    upstream = channels_last(torch.randn(x.shape).to(dtype), 2)
    with Passes(x.numel()) as passes:
        layer(x).backward(upstream)
    # Besides two sums over all features, forward and backward, which give nothing large.
    assert passes.names == ["native_batch_norm", "native_batch_norm", "addcmul_"]


def test_the_activation_after_it_may_work_in_place():
    group = groups.P4()
    layer = drawn(GroupBatchNorm(group, 2, track_running_stats=False).double())
    x = features(group)
    found = torch.autograd.grad(layer(x).relu_().sum(), [x, *layer.parameters()])
    expected = torch.autograd.grad(layer(x).relu().sum(), [x, *layer.parameters()])
    torch.testing.assert_close(found, expected)


def normalised(x, **options):
    layer = GroupBatchNorm(groups.P4(), x.shape[1], eps=0, **options)
    return layer(x), layer


@pytest.mark.parametrize("mean", [0.0, 1.0, -2.9, 3.1, 30.0, 1000.0])
def test_statistics_are_exact_to_float32_however_large_the_mean(mean):
    torch.manual_seed(0)
    x = torch.randn(4, 3, 4, 96, 96) * torch.tensor([1e-3, 1.0, 1e3]).view(3, 1, 1, 1)
    x = x + mean * torch.tensor([1e-3, 1.0, 1e3]).view(3, 1, 1, 1)
    _, layer = normalised(x, momentum=1.0)
    fields = x.double().transpose(0, 1).flatten(1)
    torch.testing.assert_close(layer.running_var.double(), fields.var(1), rtol=1e-5, atol=0)
    deviation = fields.std(1)
    error = (layer.running_mean.double() - fields.mean(1)).abs() / deviation
    assert error.max() < 10 * RESOLUTION * (1 + abs(mean))


def test_a_field_that_is_constant_stays_finite():
    layer = GroupBatchNorm(groups.P4(), 2)
    x = torch.full((2, 2, 4, 8, 8), 7.0, requires_grad=True)
    y = layer(x)
    assert y.abs().max() < 1e-2
    y.sum().backward()
    assert x.grad.isfinite().all()


def test_infinite_and_missing_numbers_are_passed_on():
    for value in (float("nan"), float("inf")):
        x = torch.randn(2, 1, 4, 8, 8)
        x[0, 0, 0, 0, 0] = value
        assert normalised(x)[0].isnan().any()


def test_float32_takes_sums_and_half_precision_the_kernel(monkeypatch):
    taken = []
    original = field_norm._statistics
    monkeypatch.setattr(field_norm, "_statistics", lambda x: taken.append(x.dtype) or original(x))
    layer = GroupBatchNorm(groups.P4(), 2)
    for dtype in (torch.float32, torch.bfloat16):
        layer(torch.randn(2, 2, 4, 8, 8).to(dtype))
    layer.eval()(torch.randn(2, 2, 4, 8, 8))
    assert taken == [torch.float32]
