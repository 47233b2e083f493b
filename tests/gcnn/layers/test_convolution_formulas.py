"""Lifting and group convolutions against the formulas, computed another way."""

import itertools
import math

import pytest
import torch
from torch.nn import functional as F

from gcnn import filters, groups
from gcnn.layers import GroupConv, LiftingConv
from tests.gcnn.cases import CLOSED, OTHER_BASES, SCALED, SCALES, WITHOUT_PRODUCTS, cube, label

EVERY = (*CLOSED, *OTHER_BASES, SCALED, WITHOUT_PRODUCTS)


def random(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator)


def with_random_bias(layer):
    torch.nn.init.normal_(layer.bias)
    return layer.double()


def test_p4_lifting_turns_the_filter():
    layer = with_random_bias(LiftingConv(groups.P4(), 2, 3, 3))
    x, filter_ = random(2, 2, 6, 7), layer.weight.detach().view(3, 2, 3, 3)
    expected = [F.conv2d(x, torch.rot90(filter_, h, (-2, -1)), layer.bias) for h in range(4)]
    torch.testing.assert_close(layer(x), torch.stack(expected, dim=2))


def test_p4_group_convolution_turns_the_filter_and_rolls_its_orientations():
    layer = with_random_bias(GroupConv(groups.P4(), 2, 3, 3))
    x, filter_ = random(2, 2, 4, 6, 7), layer.weight.detach().view(3, 2, 4, 3, 3)
    for h in range(4):
        turned = torch.rot90(filter_, h, (-2, -1)).roll(h, dims=2)
        expected = F.conv2d(x.flatten(1, 2), turned.flatten(1, 2), layer.bias)
        torch.testing.assert_close(layer(x)[:, :, h], expected)


def test_p4m_lifting_mirrors_and_turns_the_filter():
    layer = with_random_bias(LiftingConv(groups.P4M(), 1, 2, 3))
    x, filter_ = random(2, 1, 6, 5), layer.weight.detach().view(2, 1, 3, 3)
    for mirrored, k in itertools.product(range(2), range(4)):
        moved = torch.rot90(filter_.flip(-1) if mirrored else filter_, k, (-2, -1))
        found = layer(x)[:, :, 4 * mirrored + k]
        torch.testing.assert_close(found, F.conv2d(x, moved, layer.bias))


def test_lifting_is_the_sum_of_the_definition_pixel_by_pixel():
    group = groups.SteerableSE2(8, filters.CircularHarmonics())
    layer = LiftingConv(group, 1, 1, 3, padding=1, bias=False).double()
    image = random(1, 1, 4, 5)
    weight = layer.weight.detach()[0, 0].tolist()
    output = layer(image)
    for h, row, column in itertools.product(range(8), range(4), range(5)):
        total = 0.0
        for i, j in itertools.product(range(4), range(5)):
            dx, dy = j - column, row - i
            if max(abs(dx), abs(dy)) <= 1:
                cosine, sine = math.cos(h * math.pi / 4), math.sin(h * math.pi / 4)
                x, y = cosine * dx + sine * dy, cosine * dy - sine * dx
                total += image[0, 0, i, j].item() * filter_at(weight, x, y)
        assert output[0, 0, h, row, column].item() == pytest.approx(total, abs=1e-12)


def filter_at(weight, x, y):
    """Weighted circular harmonics of a 3×3 kernel at any place, normalised on the grid."""
    value, position = 0.0, 0
    for ring, sigma, n in ((0, 0.6, 0), (1, 0.4, 0), (1, 0.4, 1), (1, 0.4, 2)):
        places = [complex(a, b) for a, b in itertools.product((-1, 0, 1), repeat=2)]
        norm = math.sqrt(sum(abs(psi(ring, sigma, n, z)) ** 2 for z in places))
        psi_here = psi(ring, sigma, n, complex(x, y)) / norm * (math.sqrt(2) if n else 1)
        value += weight[position] * psi_here.real
        position += 1
        if n:
            value += weight[position] * psi_here.imag
            position += 1
    return value


def psi(ring, sigma, n, place):
    radius = abs(place)
    if radius < 1e-9:
        return 0 if n else math.exp(-(ring**2) / (2 * sigma**2))
    return math.exp(-((radius - ring) ** 2) / (2 * sigma**2)) * (place / radius) ** n


def grown(basis, kernel_size):
    """Pixels by which the windows of scales above 1 are wider, on each side."""
    return (basis.shape[-1] - kernel_size) // 2


@pytest.mark.parametrize("group", EVERY, ids=label)
def test_group_convolution_sums_over_every_pair_of_elements(group):
    torch.manual_seed(0)
    size = (4,) * group.dim
    layer = with_random_bias(GroupConv(group, 2, 2, 3, padding=1))
    basis = group.basis.sample(group.matrices, 3)
    x = random(1, 2, group.order, *size)
    output = layer(x).detach()
    conv = F.conv2d if group.dim == 2 else F.conv3d
    for h in {0, group.order // 2, group.order - 1}:
        expected = layer.bias.detach().view(-1, *(1,) * group.dim).expand(1, 2, *size).clone()
        for g in range(group.order):
            relative = torch.linalg.inv(group.matrices[h]) @ group.matrices[g]
            m = int((group.relative_matrices - relative).abs().amax(dim=(1, 2)).argmin())
            filter_ = torch.einsum("oik,k...->oi...", layer.weight.detach()[:, :, m], basis[:, h])
            expected += conv(x[:, :, g], filter_, padding=1 + grown(basis, 3))
        torch.testing.assert_close(output[:, :, h], expected)


@pytest.mark.parametrize("group", [*EVERY, *SCALES], ids=label)
def test_lifting_correlates_with_every_moved_filter(group):
    torch.manual_seed(0)
    layer = with_random_bias(LiftingConv(group, 2, 2, 3))
    basis = group.basis.sample(group.matrices, 3)
    x = random(1, 2, *(5,) * group.dim)
    conv = F.conv2d if group.dim == 2 else F.conv3d
    for h in range(group.order):
        filter_ = torch.einsum("oik,k...->oi...", layer.weight.detach(), basis[:, h])
        expected = conv(x, filter_, layer.bias, padding=grown(basis, 3))
        torch.testing.assert_close(layer(x)[:, :, h], expected)


@pytest.mark.parametrize(
    "options",
    [
        {"stride": 2, "padding": 1},
        {"padding": "same"},
        {"padding": "valid"},
        {"padding": 2, "dilation": 2},
        {"padding": 3},
        {"groups": 2},
        {"bias": False},
        {"padding": 1, "padding_mode": "reflect"},
        {"padding": 2, "padding_mode": "replicate"},
        {"padding": "same", "padding_mode": "circular", "dilation": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("layer_type", [LiftingConv, GroupConv])
def test_options_mean_what_they_mean_for_conv2d(layer_type, options):
    group = groups.SteerableSE2(4)
    layer = layer_type(group, 2, 4, 3, **options).double()
    orders = 1 if layer_type is LiftingConv else 4
    plain = torch.nn.Conv2d(2 * orders, 16, 3, **options).double()
    plain.weight = torch.nn.Parameter(layer.filters().detach())
    if layer.bias is not None:
        torch.nn.init.normal_(layer.bias)
        plain.bias = torch.nn.Parameter(layer.bias.detach().repeat_interleave(4))
    x = random(2, 2 * orders, 9, 7)
    given = x if layer_type is LiftingConv else x.unflatten(1, (2, 4))
    torch.testing.assert_close(layer(given).flatten(1, 2), plain(x))


@pytest.mark.parametrize("kernel_size", [1, 2, 4, 5, 7])
def test_any_kernel_size_gives_filters_of_that_size(kernel_size):
    for group in (groups.P4(), groups.SteerableSE2(8)):
        layer = GroupConv(group, 1, 2, kernel_size)
        assert layer.filters().shape == (2 * group.order, group.order, kernel_size, kernel_size)


@pytest.mark.parametrize(
    ("group", "kernel_size", "functions"),
    [
        (groups.P4(), 3, 9),
        (groups.SE2(8), 5, 25),
        (groups.SteerableSE2(8), 3, 6),
        (groups.SteerableSE2(12), 5, 11),
        (groups.SteerableSE2(4), 7, 18),
        (groups.Dihedral(8), 5, 11),
        (cube(), 3, 27),
    ],
    ids=str,
)
def test_weights_have_the_shape_of_the_design(group, kernel_size, functions):
    lifting = LiftingConv(group, 3, 5, kernel_size)
    assert lifting.weight.shape == (5, 3, functions) and lifting.bias.shape == (5,)
    between = GroupConv(group, 4, 6, kernel_size, groups=2)
    assert between.weight.shape == (6, 2, group.order, functions) and between.bias.shape == (6,)


def test_a_window_has_a_weight_for_every_ratio():
    assert GroupConv(SCALED, 1, 1, 3).weight.shape == (1, 1, 5, 9)
    assert GroupConv(WITHOUT_PRODUCTS, 1, 1, 3).weight.shape == (1, 1, 3, 9)


def test_another_basis_than_the_groups_own_can_be_asked_for():
    layer = LiftingConv(groups.P4(), 1, 1, 5, basis=filters.CircularHarmonics())
    assert layer.weight.shape == (1, 1, 11)
    with pytest.raises(ValueError, match="CircularHarmonics serves groups of the plane"):
        LiftingConv(cube(), 1, 1, 3, basis=filters.CircularHarmonics())


def test_layers_print_what_they_were_built_with():
    layer = GroupConv(
        groups.SE2(8), 4, 8, 3, 1, "same", dilation=2, groups=2, bias=False,
        padding_mode="circular",
    )  # fmt: skip
    assert repr(layer) == (
        "GroupConv(SE2(8), 4, 8, kernel_size=3, stride=1, padding=2, dilation=2, groups=2, "
        "bias=False, padding_mode='circular', basis=Pixels(disc=False))"
    )
    plain = LiftingConv(groups.P4(), 1, 2, 5)
    assert repr(plain) == (
        "LiftingConv(P4(), 1, 2, kernel_size=5, stride=1, basis=Pixels(disc=False))"
    )
