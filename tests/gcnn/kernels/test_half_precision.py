"""Filters in bfloat16 under autocast: rounded once, of a basis that is not rounded."""

import pytest
import torch
from torch import nn

from gcnn import groups, layers
from gcnn.kernels import Form
from gcnn.kernels.half_precision import _swapped, two_terms
from tests.gcnn.cases import cube, left_right

GROUPS = (
    groups.P4(), groups.SE2(8), groups.SteerableSE2(8), groups.Dihedral(3), left_right(),
)  # fmt: skip
KINDS = (layers.LiftingConv, layers.GroupConv, layers.GroupConvTranspose)
ROUNDING = 2.0**-8  # Half a unit in the last of the 8 bits of bfloat16.
over_groups = pytest.mark.parametrize("group", GROUPS, ids=repr)
over_kinds = pytest.mark.parametrize("kind", KINDS)
over_layouts = pytest.mark.parametrize("last", [False, True])


def build(kind, group, kernel_size=5):
    torch.manual_seed(0)
    layer = kind(group, 3, 4, kernel_size)
    # Weights that bfloat16 holds exactly, so that what is left are the roundings of the product.
    with torch.no_grad():
        layer.weight.copy_(layer.weight.bfloat16())
    return layer


@over_layouts
@over_kinds
@over_groups
def test_filters_are_the_exact_ones_rounded_once(group, kind, last):
    layer = build(kind, group)
    filters = layer.filters(Form(torch.bfloat16, last))
    layout = torch.channels_last if last else torch.contiguous_format
    assert filters.dtype == torch.bfloat16 and filters.is_contiguous(memory_format=layout)
    exact = layer.double().filters()
    # And what is left of the basis after two terms.
    bound = ROUNDING * exact.abs() + 2.0**-15 * exact.abs().max()
    assert ((filters.double() - exact).abs() <= bound).all()


@over_layouts
@over_kinds
@over_groups
def test_gradients_are_those_of_the_exact_filters(group, kind, last):
    layer = build(kind, group)
    filters = layer.filters(Form(torch.bfloat16, last))
    upstream = torch.randn_like(filters)
    (found,) = torch.autograd.grad(filters, layer.weight, upstream)
    assert found.dtype == torch.float32
    exact = layer.double()
    (expected,) = torch.autograd.grad(exact.filters(), exact.weight, upstream.double())
    assert (found - expected).abs().max() <= 2 * ROUNDING * expected.abs().max()


@over_groups
def test_a_layer_under_autocast_computes_with_them(group):
    layer = build(layers.GroupConv, group).eval()
    x = torch.randn(2, 3, group.order, 9, 9)
    for layout in (torch.contiguous_format, torch.channels_last):
        plain = x.flatten(1, 2).contiguous(memory_format=layout)
        given = plain.unflatten(1, (3, group.order))
        form = Form(torch.bfloat16, layout == torch.channels_last)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            found = layer(given)
            # Remembered in the form in which they are used.
            assert layer.filters(form) is layer.filters(form)
        expected = nn.functional.conv2d(
            plain.bfloat16(), layer.filters(form), layer.expanded_bias().bfloat16()
        )
        assert torch.equal(found.flatten(1, 2), expected)


def test_filters_of_another_form_are_made_anew():
    layer = build(layers.GroupConv, groups.SteerableSE2(8)).eval().requires_grad_(False)
    full, half = Form(torch.float32), Form(torch.bfloat16)
    for form in (full, half, full):
        assert layer.filters(form).dtype == form.dtype


def test_pixels_need_one_term_and_are_exact():
    group = groups.P4()
    filters = build(layers.LiftingConv, group).filters(Form(torch.bfloat16))
    torch.testing.assert_close(
        filters.float(), build(layers.LiftingConv, group).filters(), atol=0, rtol=0
    )
    table = group.basis.sample(group.matrices, 3).unsqueeze(2)
    assert len(two_terms(table, last=False)) == len(table)
    turned = groups.SteerableSE2(8)
    table = turned.basis.sample(turned.matrices, 3).unsqueeze(2)
    assert len(two_terms(table, last=True)) == 2 * len(table)


def test_a_table_that_no_cache_holds_is_not_made():
    layer = layers.GroupConv(cube(), 1, 1, 3)
    assert layer.kernel.rounded_tables is None
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.randn(1, 1, 24, 3, 3, 3)).dtype == torch.bfloat16


@pytest.mark.parametrize(
    "shape", [(2, 3, 4, 1), (2, 3, 4, 2), (1, 5, 2, 4), (3, 2, 5, 8), (2, 1, 1, 24)]
)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_swapping_is_a_transposition_and_its_own_adjoint(dtype, shape):
    x = torch.randn(shape).to(dtype).requires_grad_()
    y = _swapped(x)
    assert y.is_contiguous() and torch.equal(y, x.transpose(1, 2))
    upstream = torch.randn(y.shape).to(dtype)
    for given in (upstream, upstream.transpose(-1, -2).contiguous().transpose(-1, -2)):
        (gradient,) = torch.autograd.grad(y, x, given, retain_graph=True)
        assert torch.equal(gradient, given.transpose(1, 2))


def test_second_derivatives_pass_through_swapping():
    x = torch.randn(2, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: _swapped(x).pow(3), (x,))


@pytest.mark.parametrize("kind", KINDS[:2])
def test_compilers_and_transforms_look_inside(kind):
    group = groups.SteerableSE2(8)
    layer = build(kind, group)
    x = torch.randn(2, 3, *([8] if kind is layers.GroupConv else []), 7, 7)
    with torch.autocast("cpu", torch.bfloat16):
        expected = layer(x).float()
        compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
        found = compiled(x)
        stacked = torch.func.vmap(lambda one: layer(one[None]))(x).squeeze(1)
    assert found.dtype == torch.bfloat16
    size = float(expected.abs().max())
    for y in (found, stacked):
        torch.testing.assert_close(y.float(), expected, atol=4 * ROUNDING * size, rtol=0)
