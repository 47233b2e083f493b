"""Hermite polynomials times a Gaussian: closed forms, moments, symmetries and refusals."""

import itertools
import math

import pytest
import torch

from gcnn import filters, groups
from gcnn.geometry import mirror, rotation
from tests.gcnn.cases import cube

HermiteGaussian = filters.HermiteGaussian
POLYNOMIALS = (
    lambda x: torch.ones_like(x),
    lambda x: x,
    lambda x: (x**2 - 1) / math.sqrt(2),
    lambda x: (x**3 - 3 * x) / math.sqrt(6),
)
SCALES = (1.0, 0.8, 0.25)
over_dims = pytest.mark.parametrize("dim", [1, 2, 3])
over_combinations = pytest.mark.parametrize("combine", ["total", "tensor"])


def dilations(dim, *scales):
    return torch.tensor(scales, dtype=torch.float64)[:, None, None] * torch.eye(
        dim, dtype=torch.float64
    )


def pixels(dim, kernel_size):
    """The coordinates of a kernel in (x, y[, z]), y upwards: `(*kernel, d)`."""
    axis = torch.arange(kernel_size, dtype=torch.float64) - (kernel_size - 1) / 2
    along = torch.meshgrid(*(axis,) * dim, indexing="ij")[::-1]
    return torch.stack([-c if i == 1 else c for i, c in enumerate(along)], dim=-1)


def closed_form(degrees, points, sigma):
    """φ(x/σ) σ⁻ᵈ, not normalised."""
    u = points / sigma
    polynomial = math.prod(POLYNOMIALS[a](u[..., axis]) for axis, a in enumerate(degrees))
    return polynomial * torch.exp(-u.square().sum(-1) / 2) / sigma ** len(degrees)


def moment(function, points, powers):
    """`Σ x^i y^j … φ(x, y, …)`."""
    weights = math.prod(points[..., axis] ** j for axis, j in enumerate(powers))
    return float((weights * function).sum())


def integral(a, j):
    """`∫ u^j He_a(u)/√(a!) exp(-u²/2) du`, by quadrature."""
    u = torch.linspace(-14, 14, 20001, dtype=torch.float64)
    return float(torch.trapezoid(u**j * POLYNOMIALS[a](u) * torch.exp(-u.square() / 2), u))


@pytest.mark.parametrize(
    ("combine", "order", "counts"),
    [("total", 2, (3, 6, 10)), ("tensor", 2, (3, 9, 27)), ("total", 3, (4, 10, 20))],
)
@over_dims
def test_functions_are_chosen_by_total_degree_or_all_products(combine, order, counts, dim):
    basis = HermiteGaussian(order, combine)
    degrees = basis.degrees(dim, 5)
    assert len(degrees) == len(set(degrees)) == counts[dim - 1]
    assert all(max(d) <= order and (combine == "tensor" or sum(d) <= order) for d in degrees)
    assert basis.sample(dilations(dim, *SCALES), 5).shape == (len(degrees), 3, *(5,) * dim)


@over_combinations
@over_dims
def test_wide_windows_hold_the_closed_form_with_one_factor_for_all(dim, combine):
    # Six σ of the largest scale, and σ of more than a pixel: sums are integrals to rounding.
    basis, kernel_size = HermiteGaussian(2, combine, half_width=6.0), (19 if dim == 3 else 33)
    sampled = basis.sample(dilations(dim, 1.0, 0.8), kernel_size)
    points, widest = pixels(dim, kernel_size), (kernel_size - 1) / 2 / 6
    expected = torch.stack(
        [
            torch.stack([closed_form(d, points, widest * s) for s in (1.0, 0.8)])
            for d in basis.degrees(dim, kernel_size)
        ]
    )
    factor = sampled[0, 0].sum() / expected[0, 0].sum()
    torch.testing.assert_close(sampled, factor * expected, atol=2e-5, rtol=0)


@over_combinations
@over_dims
@pytest.mark.parametrize(("order", "kernel_size"), [(1, 3), (2, 3), (2, 4), (2, 7), (3, 5)])
def test_moments_of_the_samples_are_those_of_the_integral_at_every_scale(
    order, kernel_size, dim, combine
):
    basis = HermiteGaussian(order, combine)
    sampled = basis.sample(dilations(dim, *SCALES), kernel_size)
    points, widest = pixels(dim, kernel_size), (kernel_size - 1) / 2 / 3
    degrees = basis.degrees(dim, kernel_size)
    factor = float(sampled[0, 0].sum()) / integral(0, 0) ** dim
    every = list(itertools.product(range(order + 1), repeat=dim))
    monomials = torch.stack(
        [math.prod(points[..., axis] ** j for axis, j in enumerate(powers)) for powers in every]
    )
    found = sampled.flatten(2) @ monomials.flatten(1).T
    table = [[integral(a, j) for j in range(order + 1)] for a in range(order + 1)]
    for k, h in itertools.product(range(len(degrees)), range(len(SCALES))):
        sigma = widest * SCALES[h]
        exact = [
            factor * math.prod(table[a][j] * sigma**j for a, j in zip(degrees[k], p, strict=True))
            for p in every
        ]
        assert found[k, h].tolist() == pytest.approx(exact, abs=1e-9)


@over_combinations
@over_dims
def test_derivatives_have_no_response_to_a_constant(dim, combine):
    sampled = HermiteGaussian(2, combine).sample(dilations(dim, *SCALES), 5)
    sums = sampled.flatten(2).sum(dim=2)
    assert sums[1:].abs().max() < 1e-12
    torch.testing.assert_close(sums[0], sums[0, :1].expand(3))


@over_dims
def test_polynomials_up_to_the_order_are_filtered_without_any_error_of_scale(dim):
    """Enlarging the image and the filter gives the same response at the centre."""
    scales = (1.0, 1.3, 1.7)
    sampled = HermiteGaussian().sample(dilations(dim, *scales), 7)
    points = pixels(dim, sampled.shape[-1])
    coefficients = torch.tensor([0.3, -1.2, 0.7], dtype=torch.float64)

    def image(x):
        return math.prod(
            sum(c * (x[..., a] + a) ** j for j, c in enumerate(coefficients)) for a in range(dim)
        )

    found = [(sampled[:, h] * image(points / s)).flatten(1).sum(1) for h, s in enumerate(scales)]
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("settings", [{"combine": "total"}, {"combine": "tensor"}, {"order": 3}])
@pytest.mark.parametrize("dim", [2, 3])
def test_swapping_and_mirroring_axes_only_permutes_the_functions(dim, settings):
    sampled = HermiteGaussian(**settings).sample(dilations(dim, *SCALES), 5)
    moves = [lambda f, a=a: f.flip(a) for a in range(2, dim + 2)]
    moves += [lambda f, a=a: f.transpose(2, a) for a in range(3, dim + 2)]
    for move in moves:
        moved = move(sampled)
        found = set()
        for function in moved:
            distances = [
                (sign, k, float((function - sign * sampled[k]).abs().max()))
                for k in range(len(sampled))
                for sign in (1, -1)
            ]
            _, k, distance = min(distances, key=lambda each: each[2])
            assert distance < 1e-12
            found.add(k)
        assert len(found) == len(sampled)


@over_combinations
@pytest.mark.parametrize("group", [groups.P4M(), cube()], ids=repr)
def test_groups_that_swap_and_mirror_axes_move_the_functions_exactly(group, combine):
    basis = HermiteGaussian(combine=combine)
    sampled = basis.sample(group.matrices, 5)
    still = sampled[:, group.identity]
    for h in range(group.order):
        moved = groups.Group(group.matrices).act(still[None], h)[0]
        torch.testing.assert_close(sampled[:, h], moved, atol=1e-12, rtol=0)


@over_combinations
@over_dims
def test_one_normalisation_serves_all_scales(dim, combine):
    basis = HermiteGaussian(combine=combine)
    sampled = basis.sample(dilations(dim, *SCALES), 7)
    norms = sampled.flatten(2).norm(dim=2)
    assert float(norms[:, SCALES.index(1.0)].square().mean()) == pytest.approx(1.0)
    wide = HermiteGaussian(combine=combine, half_width=5.0).sample(dilations(dim, 1.0, 0.7), 21)
    norms = wide.flatten(2).norm(dim=2)
    torch.testing.assert_close(norms[:, 1], norms[:, 0] * 0.7 ** (-dim / 2), atol=0, rtol=1e-3)


def variances(sampled):
    """Of the Gaussian of every scale, along x."""
    x = pixels(sampled.ndim - 2, sampled.shape[-1])[..., 0]
    return ((sampled[0] * x**2).flatten(1).sum(1) / sampled[0].flatten(1).sum(1)).tolist()


@pytest.mark.parametrize("half_width", [2.0, 3.0, 3.5])
@pytest.mark.parametrize("kernel_size", [5, 8, 9])
@over_dims
def test_the_kernel_size_is_half_width_sigmas_of_scale_one(dim, kernel_size, half_width):
    scales = (0.5, 1.0, 2.0)
    sampled = HermiteGaussian(half_width=half_width).sample(dilations(dim, *scales), kernel_size)
    assert sampled.shape[2:] == (kernel_size + 2 * math.ceil((kernel_size - 1) / 2),) * dim
    widest = (kernel_size - 1) / 2 / half_width
    assert variances(sampled) == pytest.approx([(s * widest) ** 2 for s in scales])


@pytest.mark.parametrize("others", [(), (0.729,), (1.3, 0.5), (2.0,)])
@pytest.mark.parametrize("kernel_size", [1, 4, 7])
@over_combinations
@over_dims
def test_what_a_scale_sees_does_not_depend_on_the_others(dim, combine, kernel_size, others):
    basis, scales = HermiteGaussian(combine=combine), (1.0, 0.9, 0.81)
    alone = [basis.sample(dilations(dim, scale), kernel_size)[:, 0] for scale in scales]
    listed = basis.sample(dilations(dim, *scales, *others), kernel_size)
    grown = (listed.shape[-1] - kernel_size) // 2
    inside = (..., *(slice(grown, grown + kernel_size),) * dim)
    for h, function in enumerate(alone):
        assert torch.equal(listed[:, h][inside], function)
        assert listed[:, h].abs().sum() == pytest.approx(float(function.abs().sum()))


def test_the_window_is_three_sigmas_unless_said_otherwise():
    assert HermiteGaussian().half_width == 3
    assert HermiteGaussian() == HermiteGaussian(half_width=3.0)


@over_dims
def test_sigma_may_be_given_in_pixels_of_scale_one(dim):
    sampled = HermiteGaussian(sigma=0.9).sample(dilations(dim, 0.5, 1.0, 1.2), 7)
    assert variances(sampled) == pytest.approx([0.45**2, 0.9**2, 1.08**2])


def test_a_small_sigma_leaves_the_central_differences():
    sampled = HermiteGaussian(sigma=0.1).sample(dilations(1, 1.0), 5)[:, 0]
    sampled = sampled / sampled[0].sum()
    constant, slope, curvature = sampled
    expected = torch.tensor([0, -1.0, 0, 1.0, 0], dtype=torch.float64) * 0.1 / 2
    torch.testing.assert_close(slope, expected)
    expected = torch.tensor([0, 1.0, -2.0, 1.0, 0], dtype=torch.float64) * 0.01 / math.sqrt(2)
    torch.testing.assert_close(constant.sum(), torch.tensor(1.0, dtype=torch.float64))
    torch.testing.assert_close(curvature, expected)


@pytest.mark.parametrize(("sigma", "kernel_size"), [(0.01, 5), (0.01, 6)])
def test_a_sigma_too_small_for_the_pixels_is_refused(sigma, kernel_size):
    message = rf"σ of {0.9 * sigma:.3g} pixels is too small .* on {kernel_size} pixels"
    with pytest.raises(ValueError, match=message):
        HermiteGaussian(sigma=sigma).sample(dilations(2, 0.9), kernel_size)


def test_scales_too_far_apart_for_a_kernel_are_refused():
    with pytest.raises(ValueError, match=r"use .* scales that are closer together"):
        HermiteGaussian().sample(dilations(2, 1.0, 0.01), 5)


@pytest.mark.parametrize("degrees", [30, 45, 72, 120])
@pytest.mark.parametrize("flipped", [False, True])
def test_total_degree_serves_any_rotation_of_the_plane(degrees, flipped):
    matrix = rotation(degrees) @ (mirror() if flipped else torch.eye(2, dtype=torch.float64))
    matches_the_turned_closed_form(HermiteGaussian(3, half_width=6.0), matrix, 33)


@pytest.mark.parametrize("combine", ["total"])
def test_total_degree_serves_any_rotation_of_space(combine):
    generator = torch.Generator().manual_seed(0)
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))
    matches_the_turned_closed_form(HermiteGaussian(2, combine, 6.0), turn, 19)


def matches_the_turned_closed_form(basis, turn, kernel_size):
    dim = len(turn)
    matrices = torch.stack([torch.eye(dim, dtype=torch.float64), turn, 0.8 * turn])
    sampled = basis.sample(matrices, kernel_size)
    points, widest = pixels(dim, kernel_size), (kernel_size - 1) / 2 / 6
    # φ(R⁻¹x): with row vectors, x R.
    for k, degrees in enumerate(basis.degrees(dim, kernel_size)):
        still = closed_form(degrees, points, widest)
        factor = (sampled[k, 0] * still).sum() / still.square().sum()
        for h, scale in ((1, 1.0), (2, 0.8)):
            expected = factor * closed_form(degrees, points @ turn, widest * scale)
            torch.testing.assert_close(sampled[k, h], expected, atol=3e-5, rtol=0)


def test_turning_by_a_group_element_is_exact_on_small_kernels():
    """Moments of turned functions are those of the polynomial, turned."""
    basis, points = HermiteGaussian(), pixels(2, 5)
    turn = rotation(30)
    still, turned = basis.sample(torch.stack([rotation(0), turn]), 5).unbind(1)
    for powers in ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2)):
        # Σ x^i y^j φ(R⁻¹x) = Σ (Rx)_1^i (Rx)_2^j φ(x) for moments that the sums have exactly.
        for k in range(len(still)):
            found = moment(turned[k], points, powers)
            assert found == pytest.approx(moment(still[k], points @ turn.T, powers), abs=1e-10)


@pytest.mark.parametrize("degrees", [30, 45])
def test_a_tensor_product_refuses_to_be_turned(degrees):
    matrices = torch.stack([rotation(0), rotation(degrees)])
    message = r"combine='tensor'.* cannot be turned by .* use combine=\"total\""
    with pytest.raises(ValueError, match=message):
        HermiteGaussian(combine="tensor").sample(matrices, 5)


@over_combinations
def test_shears_and_stretches_are_refused(combine):
    shear = torch.tensor([[1.0, 0.5], [0.0, 1.0]], dtype=torch.float64)
    stretch = torch.diag(torch.tensor([2.0, 1.0], dtype=torch.float64))
    for matrix in (shear, stretch):
        matrices = torch.stack([torch.eye(2, dtype=torch.float64), matrix])
        with pytest.raises(ValueError, match=r"element 1 is .* which shears or stretches"):
            HermiteGaussian(combine=combine).sample(matrices, 5)


@pytest.mark.parametrize(("order", "kernel_size"), [(2, 2), (3, 3), (4, 2)])
def test_a_kernel_that_cannot_hold_the_order_is_refused(order, kernel_size):
    message = f"kernel of {kernel_size} pixels .* order {order}; use kernel_size {order + 1} or"
    with pytest.raises(ValueError, match=message):
        HermiteGaussian(order).sample(dilations(2, 1.0), kernel_size)


@over_combinations
def test_a_single_pixel_has_the_constant_only(combine):
    sampled = HermiteGaussian(combine=combine).sample(dilations(3, *SCALES), 1)
    assert torch.equal(sampled, torch.ones(1, 3, 1, 1, 1, dtype=torch.float64))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"order": -1}, "order must be at least 0, got -1"),
        ({"combine": "all"}, r"combine must be one of \('total', 'tensor'\), got 'all'"),
        ({"half_width": 0.0}, "half_width must be positive, got 0.0"),
        ({"sigma": -1.0}, "sigma must be positive, got -1.0"),
    ],
)
def test_settings_that_make_no_functions_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        HermiteGaussian(**settings)
