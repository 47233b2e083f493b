"""Windows of infinite groups: only what both sides of a comparison know is compared."""

import math

import pytest
import torch
from torch import nn

from gcnn import groups
from gcnn.equivariance import Blobs, check_group, equivariance_error, layer_errors
from gcnn.geometry import rotation, transform


def window(dim, *scales):
    matrices = [scale * torch.eye(dim, dtype=torch.float64) for scale in scales]
    return groups.Group(matrices, name=f"Window{scales}")


# Halving an odd grid meets its pixels, so that nothing is interpolated.
HALVES = {dim: window(dim, 1.0, 0.5, 0.25) for dim in (2, 3)}
both_dims = pytest.mark.parametrize("dim", [2, 3], ids="{}D".format)


def blobs(dim, **options):
    return Blobs(**({"size": 33 if dim == 2 else 17, "batch": 2, "dim": dim} | options))


class Weigh(nn.Module):
    """Lifts an image: it times one weight for every scale."""

    def __init__(self, *weights):
        super().__init__()
        self.weights = weights

    def forward(self, x):
        return torch.stack([weight * x for weight in self.weights], dim=2)


class Neighbour(nn.Module):
    """The mean of every scale and the one `step` further on, zeros beyond the ends."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def forward(self, x):
        neighbour = x.roll(-self.step, dims=2)
        neighbour[:, :, -1 if self.step > 0 else 0] = 0
        return (x + neighbour) / 2


def close(found, expected):
    return all(
        math.isnan(one) if math.isnan(other) else one == pytest.approx(other, abs=1e-10)
        for one, other in zip(found, expected, strict=True)
    )


@both_dims
def test_what_commutes_has_no_error_though_the_action_brings_zeros(dim):
    report = equivariance_error(Weigh(1, 1, 1), HALVES[dim], blobs(dim))
    assert report.worst < 1e-10
    assert close(report.rows[1].per_element, (math.nan, 0, 0))
    assert close(report.rows[2].per_element, (math.nan, math.nan, 0))


@both_dims
def test_the_error_is_that_of_the_valid_pairs_of_scales(dim):
    still, near, far = equivariance_error(Weigh(1, 2, 3), HALVES[dim], blobs(dim)).rows
    assert close(still.per_element, (0, 0, 0)) and still.error == 0
    assert close(near.per_element, (math.nan, 1 / 2, 1 / 3))
    assert near.error == pytest.approx(math.sqrt(1 + 1) / math.sqrt(4 + 9))
    assert close(far.per_element, (math.nan, math.nan, 2 / 3))
    assert far.error == pytest.approx(2 / 3)


def test_the_end_of_interacting_scales_is_told_from_the_interior():
    network = nn.Sequential(Weigh(1, 1, 1), Neighbour(1))
    rows = equivariance_error(network, HALVES[2], blobs(2)).rows
    assert close(rows[1].per_element, (math.nan, 0, 1))


def test_images_and_closed_groups_are_compared_everywhere():
    image = equivariance_error(nn.Identity(), HALVES[2], blobs(2)).rows[1]
    assert image.error < 1e-10 and image.per_element == ()
    turned = equivariance_error(Weigh(1, 2, 3, 4), groups.P4(), blobs(2)).rows[1]
    assert close(turned.per_element, (3 / 1, 1 / 2, 1 / 3, 1 / 4))


def test_an_element_without_products_in_the_window_is_not_compared():
    group = window(2, 1.2, 1.44, 1.9)
    report = equivariance_error(Weigh(1, 1, 1), group, blobs(2))
    assert [math.isnan(row.error) for row in report.rows] == [False, True, True]
    assert report.worst == report.rows[0].error
    with pytest.raises(ValueError, match=r"the elements \[1, 2\] .* Window.* nothing to compare"):
        equivariance_error(Weigh(1, 1, 1), group, blobs(2), elements=[1, 2])


def test_only_what_comes_from_the_grid_is_compared():
    # These blobs lie everywhere, and half the size brings in what was outside.
    everywhere = blobs(2, radius=25)
    for inner in (20 / 32.5, 1.0):
        report = equivariance_error(nn.Identity(), HALVES[2], everywhere, [1, 2], inner=inner)
        assert report.worst < 1e-10


@pytest.mark.parametrize(
    ("dim", "scale"), [(2, 0.8), (2, 0.5), (2, 2.0), (2, 2 ** (1 / 3)), (3, 0.9), (3, 1.3)]
)
def test_the_floor_is_the_interpolation_error_of_smooth_images(dim, scale):
    images = Blobs(size=65 if dim == 2 else 33, batch=2, dim=dim)
    row = equivariance_error(nn.Identity(), window(dim, scale), images).rows[0]
    assert row.floor == pytest.approx(row.error, rel=0.15, abs=1e-12)
    # Halving meets the pixels of an odd grid.
    assert (row.error < 1e-12) == (scale == 0.5) and row.error < 5e-4


@pytest.mark.parametrize("degrees", [15, 45])
def test_the_floor_of_turning_is_the_interpolation_error_of_smooth_images(degrees):
    turn = groups.Group([rotation(degrees)])
    row = equivariance_error(nn.Identity(), turn, Blobs(batch=2)).rows[0]
    assert row.floor == pytest.approx(row.error, rel=0.15)


@both_dims
@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_blobs_are_zoomed_about_the_centre(dim, scale):
    images = blobs(dim)
    still, moved = images.images(), images.moved(scale * torch.eye(dim, dtype=torch.float64))
    small, large = (moved, still) if scale < 1 else (still, moved)
    size = images.size
    inner = (slice(None), slice(None), *(slice(size // 4, size - size // 4),) * dim)
    every_second = (slice(None), slice(None), *(slice(None, None, 2),) * dim)
    torch.testing.assert_close(small[inner], large[every_second])


@both_dims
def test_blobs_on_a_window_move_from_scale_to_scale(dim):
    group = HALVES[dim]
    features = blobs(dim, group=group, size=17, count=3)
    moved, still = features.moved(group.matrices[1]), features.images()
    assert not moved[:, :, 0].any()
    known = (slice(None), slice(None), slice(1, None), *(slice(4, 13),) * dim)
    expected = transform(still[:, :, :2], group.matrices[1])[(slice(None),) * 3 + known[3:]]
    torch.testing.assert_close(moved[known], expected)


def test_a_layer_alone_is_given_what_the_moved_input_brings_from_outside():
    network = nn.Sequential(Weigh(1, 1, 1), Neighbour(-1))
    lifting, mean = layer_errors(network, HALVES[2], blobs(2)).rows
    assert lifting.error < 1e-10 and close(lifting.per_element, (math.nan, 0, 0))
    assert close(mean.per_element, (math.nan, 1 / 2, 0))
    assert mean.own == pytest.approx(mean.error)


@both_dims
def test_a_window_of_scalings_passes_every_law(dim):
    group = window(dim, 1.0, 1.5, 2.25)
    report = check_group(group, window=True)
    assert "ok   closure: 3 of 9 products leave the set" in str(report)
    with pytest.raises(ValueError, match="FAIL closure"):
        check_group(group)


THIRDS = [2 ** (i / 3) for i in range(4)]


@both_dims
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"interaction": 2},
        {"interaction": 2, "scale_padding": "replicate"},
        {"interaction": 3, "scale_padding": "valid"},
    ],
)
@pytest.mark.parametrize("scales", [THIRDS, [0.9**i for i in range(4)]], ids=["up", "down"])
def test_scale_translation_passes_every_law(dim, options, scales):
    group = groups.ScaleTranslation(scales, dim, **options)
    report = check_group(group, window=True)
    interacting = sum(range(5 - options.get("interaction", 1), 5))
    assert f"ok   relative elements: {interacting} of 16 pairs" in str(report)


def test_a_table_of_relative_elements_that_is_wrong_is_found():
    group = groups.ScaleTranslation(THIRDS, 2, interaction=2)
    group.relative = group.relative.T
    with pytest.raises(ValueError, match="FAIL relative elements"):
        check_group(group, window=True)
    group = groups.ScaleTranslation(THIRDS, 2, interaction=2)
    group.sources = group.sources.flip(0)
    with pytest.raises(ValueError, match="FAIL relative elements"):
        check_group(group, window=True)


class Drop(nn.Module):
    """Leaves out the last scale, as a convolution that is valid along the scales does."""

    def forward(self, x):
        return x[:, :, :-1]


def test_a_report_on_a_window_prints_every_element_of_the_output():
    lines = str(equivariance_error(Weigh(1, 2, 4), HALVES[2], blobs(2))).splitlines()
    assert lines[0].endswith("floor    each element of the output")
    assert lines[2].split()[4:] == ["-", "5.00e-01", "5.00e-01"]
    assert lines[3].split()[4:] == ["-", "-", "7.50e-01"]
    image = str(equivariance_error(nn.Identity(), HALVES[2], blobs(2))).splitlines()
    assert image[0].endswith("floor") and len(image[2].split()) == 4


def test_maps_on_what_is_left_of_a_window_are_compared_on_it():
    scales = [0.5**i for i in range(4)]
    group = groups.ScaleTranslation(scales, 2, interaction=2, scale_padding="valid")
    network = nn.Sequential(Weigh(1, 2, 3, 4), Drop(), Drop())
    rows = equivariance_error(network, group, blobs(2)).rows
    assert close(rows[0].per_element, (0, 0))
    assert close(rows[1].per_element, (math.nan, 1 / 2)) and close([rows[1].error], [1 / 2])
    assert all(math.isnan(row.error) for row in rows[2:])
    table = layer_errors(network, group, blobs(2))
    assert [len(row.per_element) for row in table.rows] == [4, 3, 2]
    assert close(table.rows[2].per_element, (math.nan, 1 / 2))
    assert table.rows[1].own < 1e-10
    with pytest.raises(ValueError, match="acts on images"):
        equivariance_error(nn.Sequential(network, Weigh(1, 1)), group, blobs(2))


def test_a_window_without_products_cannot_be_checked():
    with pytest.raises(ValueError, match="FAIL layers: all products leave the window"):
        check_group(window(2, 1.2, 1.7), window=True)
