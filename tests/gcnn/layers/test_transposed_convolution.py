"""Transposed group convolutions: exact adjoints."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from gcnn import filters, groups
from gcnn.layers import GroupConv, GroupConvTranspose
from tests.gcnn.cases import SCALES, cube, equivariance_error
from tests.gcnn.kernels.axis_by_axis.forced import EITHER_WAY

PLANAR = (groups.P4(), groups.SteerableSE2(8), groups.Dihedral(3))
LINE = groups.ScaleTranslation([1.0, 1.5, 2.25], 1, 2)
WINDOWS = {
    "kernel_size": st.integers(3, 6),
    "stride": st.integers(1, 3),
    "padding": st.integers(0, 3),
    "dilation": st.integers(1, 2),
    "size": st.tuples(*(st.integers(1, 9),) * 3),
}


def build(kind, group, *arguments, seed=0, **options):
    torch.manual_seed(seed)
    return kind(group, *arguments, **options).double()


def features(*shape):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def inner(one, other):
    return float((one * other).sum())


def fits(size, kernel_size, stride, padding, dilation):
    """Whether windows fill the padded input with nothing left over."""
    spares = [n + 2 * padding - dilation * (kernel_size - 1) - 1 for n in size]
    return all(spare >= 0 and spare % stride == 0 for spare in spares)


def require_adjoint(group, size, **window):
    """`⟨Ax, y⟩ = ⟨x, Aᵀy⟩`."""
    there = build(GroupConv, group, 2, 3, bias=False, **window)
    back = build(GroupConvTranspose, group, 3, 2, bias=False, **window)
    with torch.no_grad():
        back.weight.copy_(there.weight)
        x = features(1, 2, group.order, *size)
        image = there(x)
        y = features(*image.shape)
        preimage = back(y)
    assert preimage.shape == x.shape
    scale = float(image.norm() * y.norm()) + 1e-9
    assert abs(inner(image, y) - inner(x, preimage)) < 1e-12 * scale


@settings(max_examples=60, deadline=None)
@given(
    **WINDOWS,
    dim=st.integers(1, 3),
    interaction=st.integers(1, 3),
    end=st.sampled_from(["zero", "replicate", "valid"]),
    combine=st.sampled_from(["total", "tensor"]),
    way=st.sampled_from(sorted(EITHER_WAY)),
)
def test_it_is_the_adjoint_on_every_window_of_scales(
    dim, interaction, end, combine, way, size, **window
):
    assume(fits(size[:dim], **window))
    assume(dim < 3 or (window["kernel_size"] < 6 and window["dilation"] == 1))
    basis = filters.HermiteGaussian(combine=combine)
    group = groups.ScaleTranslation([1.0, 0.8, 0.64], dim, interaction, end, basis)
    with EITHER_WAY["dense" if dim == 1 else way]():
        require_adjoint(group, size[:dim], **window)


@settings(max_examples=30, deadline=None)
@given(**WINDOWS, group=st.sampled_from(PLANAR))
def test_it_is_the_adjoint_on_groups_of_the_plane(group, size, **window):
    assume(fits(size[:2], **window))
    require_adjoint(group, size[:2], **window)


def test_it_is_the_adjoint_on_the_cube():
    require_adjoint(cube(), (4, 3, 5), kernel_size=3, stride=1, padding=1, dilation=1)


def test_it_is_the_adjoint_with_groups_of_fields():
    there = build(GroupConv, groups.P4(), 4, 6, 3, padding=1, groups=2, bias=False)
    back = build(GroupConvTranspose, groups.P4(), 6, 4, 3, padding=1, groups=2, bias=False)
    with torch.no_grad():
        back.weight.copy_(there.weight)
        x, y = features(2, 4, 4, 5, 6), features(2, 6, 4, 5, 6)
        assert inner(there(x), y) == pytest.approx(inner(x, back(y)), abs=1e-9)


def test_it_is_the_gradient_of_the_convolution():
    group = SCALES[1]
    there = build(GroupConv, group, 2, 3, 6, stride=2, padding=2, bias=False)
    back = build(GroupConvTranspose, group, 3, 2, 6, stride=2, padding=2, bias=False)
    x, y = features(1, 2, 3, 8, 10).requires_grad_(), features(1, 3, 3, 4, 5)
    with torch.no_grad():
        back.weight.copy_(there.weight)
    (expected,) = torch.autograd.grad(there(x), x, y)
    torch.testing.assert_close(back(y), expected)


@pytest.mark.parametrize("way", EITHER_WAY.values(), ids=EITHER_WAY)
def test_without_interaction_every_scale_is_the_convolution_of_torch(way):
    group = SCALES[0]
    layer = build(GroupConvTranspose, group, 2, 3, 6, stride=2, padding=2)
    nn.init.normal_(layer.bias)
    sampled, x = group.basis.sample(group.matrices, 6), features(2, 2, 3, 4, 5)
    with way(), torch.no_grad():
        found = layer(x)
        for h in range(3):
            filter_ = torch.einsum("iok,kxy->ioxy", layer.weight[:, :, 0], sampled[:, h])
            expected = F.conv_transpose2d(x[:, :, h], filter_, layer.bias, stride=2, padding=2)
            torch.testing.assert_close(found[:, :, h], expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    ("window", "size"),
    [
        ({"kernel_size": 3, "padding": 1}, (6, 5)),
        ({"kernel_size": 4, "padding": 1, "stride": 2}, (4, 5)),
        ({"kernel_size": 3, "padding": 0, "stride": 3}, (2, 3)),
        ({"kernel_size": 3, "padding": "same", "dilation": 2}, (6, 6)),
    ],
    ids=str,
)
@pytest.mark.parametrize("group", [groups.P4M(), *PLANAR], ids=repr)
def test_it_commutes_with_the_exact_elements(group, window, size):
    layer = build(GroupConvTranspose, group, 2, 2, **window)
    nn.init.normal_(layer.bias)
    assert equivariance_error(layer, group, features(1, 2, group.order, *size)) < 1e-10


@given(
    size=st.integers(1, 9),
    kernel_size=st.integers(1, 6),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
)
@settings(max_examples=30, deadline=None)
def test_the_output_has_the_size_of_the_formula(size, kernel_size, stride, padding):
    layer = GroupConvTranspose(groups.P4(), 1, 1, kernel_size, stride, padding)
    expected = (size - 1) * stride - 2 * padding + kernel_size
    x = torch.zeros(1, 1, 4, size, size)
    if expected < 1:
        with pytest.raises(ValueError, match=rf"size \({size}, {size}\) is too small: padding"):
            layer(x)
    else:
        assert layer(x).shape[3:] == (expected, expected)


@pytest.mark.parametrize("kernel_size", [2, 4, 6, 8])
def test_an_even_kernel_doubles_the_size_about_the_same_centre(kernel_size):
    layer = build(
        GroupConvTranspose, groups.P4(), 1, 1, kernel_size, stride=2, padding=kernel_size // 2 - 1
    )
    x = features(1, 1, 4, 6, 5)
    assert layer(x).shape == (1, 1, 4, 12, 10)
    assert equivariance_error(layer, groups.P4(), x) < 1e-10


def test_a_restricted_window_gets_back_the_scales_that_were_left_out():
    group = SCALES[3]
    layer = GroupConvTranspose(group, 2, 3, 4, stride=2, padding=1)
    assert layer(torch.zeros(1, 2, group.target.order, 3, 3, 3)).shape == (1, 3, 3, 6, 6, 6)
    with pytest.raises(ValueError, match=r"GroupConvTranspose takes .* \(batch, 2, 2, \*3 of"):
        layer(torch.zeros(1, 2, group.order, 3, 3, 3))


@pytest.mark.parametrize("group", [groups.P4(), SCALES[1]], ids=repr)
def test_the_weight_is_that_of_the_convolution_it_is_the_adjoint_of(group):
    there, back = GroupConv(group, 2, 5, 3), GroupConvTranspose(group, 5, 2, 3)
    assert back.weight.shape == there.weight.shape and back.bias.shape == (2,)
    assert back.filters().shape == there.filters().shape


@pytest.mark.parametrize("group", [groups.SteerableSE2(8), SCALES[0], SCALES[2]], ids=repr)
@pytest.mark.parametrize(("kernel_size", "stride", "padding"), [(5, 1, 2), (6, 2, 2), (4, 2, 1)])
def test_weights_are_drawn_so_that_features_keep_their_size(group, kernel_size, stride, padding):
    torch.manual_seed(0)
    layer = GroupConvTranspose(group, 32, 64, kernel_size, stride, padding)
    # Features as behind a ReLU: smooth, and with a mean.
    noise = torch.randn(2, 32 * group.order, 20, 20)
    x = F.avg_pool2d(noise, 3, 1).relu().unflatten(1, (32, group.order))
    with torch.no_grad():
        y = layer(x / x.square().mean().sqrt())[..., 8:-8, 8:-8]
    # The gain is 2, for the ReLU that follows.
    assert 0.5 < y.square().mean() < 8


def test_other_paddings_than_zeros_are_refused():
    with pytest.raises(ValueError, match="only knows padding_mode=\"zeros\", got 'reflect'"):
        GroupConvTranspose(groups.P4(), 1, 1, 3, padding_mode="reflect")


def test_signals_too():
    layer = build(GroupConvTranspose, LINE, 2, 3, 6, stride=2, padding=2)
    assert layer(features(1, 2, 3, 7)).shape == (1, 3, 3, 14)


@pytest.mark.parametrize("training", [True, False])
def test_filters_are_remembered_in_eval_mode_and_never_stale(training):
    layer = build(GroupConvTranspose, SCALES[1], 2, 3, 3, padding=1).train(training)
    x = features(1, 2, 3, 5, 5)
    with torch.no_grad():
        before = layer(x)
        for factor in (2.0, 3.0):
            layer.weight.data.mul_(factor), layer.bias.data.mul_(factor)
            found = layer(x)
            torch.testing.assert_close(found, factor * before)
            before = found


def test_it_prints_what_it_was_built_with():
    layer = GroupConvTranspose(groups.P4(), 4, 2, 4, stride=2, padding=1)
    assert repr(layer) == (
        "GroupConvTranspose(P4(), 4, 2, kernel_size=4, stride=2, padding=1, "
        "basis=Pixels(disc=False))"
    )
