"""The equivariance error of a module, against hand-made modules whose error is known."""

import math

import pytest
import torch
from torch import nn

from gcnn import groups, layers
from gcnn.equivariance import (
    Blobs,
    equivariance_error,
    error_curve,
    layer_errors,
    scale_curve,
)
from gcnn.equivariance.blobs import blobs_for
from gcnn.models import UNet

P4, C8 = groups.P4(), groups.SE2(8)


class Add(nn.Module):
    """Adds a fixed pattern, which does not move with the input."""

    def __init__(self, pattern):
        super().__init__()
        self.pattern = pattern

    def forward(self, x):
        return x + self.pattern


def test_the_error_is_the_formula():
    torch.manual_seed(0)
    x, pattern = torch.randn(3, 1, 6, 6), torch.randn(6, 6)
    report = equivariance_error(Add(pattern), P4, x)
    for row in report.rows:
        turned = torch.rot90(x, row.element, (-2, -1)) + pattern
        expected = torch.rot90(x + pattern, row.element, (-2, -1))
        errors = (turned - expected).flatten(1).norm(dim=1) / turned.flatten(1).norm(dim=1)
        assert row.error == pytest.approx(float(errors.mean()), rel=1e-5)
        assert row.exact and row.floor == 0
    assert report.rows[0].error == 0
    assert report.worst == report.worst_exact == max(row.error for row in report.rows)


def test_an_equivariant_network_has_rounding_error_and_a_plain_one_has_not():
    equivariant = UNet(1, 1, P4, (2, 3)).double()
    assert equivariance_error(equivariant, P4, Blobs(size=16)).worst < 1e-10
    plain = nn.Conv2d(1, 1, 3, padding=1).double()
    assert equivariance_error(plain, P4, Blobs(size=16)).worst > 0.01


def test_feature_maps_images_and_vectors_are_compared():
    lifting = layers.LiftingConv(P4, 1, 2, 3, padding=1).double()
    pooled = nn.Sequential(lifting, layers.GroupPool(P4))
    vector = nn.Sequential(pooled, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    for module in (lifting, pooled, vector):
        report = equivariance_error(module, P4, Blobs(size=15))
        assert report.worst < 1e-10 and len(report.rows) == 4


def test_between_the_grid_angles_the_floor_of_interpolation_stands_beside():
    report = equivariance_error(nn.Identity(), C8, Blobs(size=65))
    for row in report.rows:
        assert row.exact == (row.element % 2 == 0)
        if not row.exact:
            assert 1e-5 < row.floor < 1e-3
            assert row.error == pytest.approx(row.floor, rel=1.5)


def test_the_floor_grows_with_a_coarser_interpolation():
    floors = [
        equivariance_error(nn.Identity(), C8, Blobs(size=65), [1], interpolation=name).worst
        for name in ("cubic", "linear", "nearest")
    ]
    assert floors[0] < floors[1] < floors[2]


def test_the_errors_are_the_same_without_the_floors():
    blobs = Blobs(size=17)
    network = nn.Conv2d(1, 1, 3, padding=1).double()
    with_floors = equivariance_error(network, C8, blobs)
    without = equivariance_error(network, C8, blobs, floor=False)
    for one, other in zip(with_floors.rows, without.rows, strict=True):
        assert one.error == other.error
        assert other.floor == 0 if other.exact else math.isnan(other.floor)


def test_only_the_elements_asked_for_are_measured():
    report = equivariance_error(nn.Identity(), C8, Blobs(size=17), elements=[3, 6])
    assert [row.element for row in report.rows] == [3, 6]
    only_between = equivariance_error(nn.Identity(), C8, Blobs(size=17), elements=[1])
    assert only_between.worst_exact == 0


def test_blobs_that_fit_are_made_where_no_input_is_given():
    report = equivariance_error(layers.LiftingConv(P4, 3, 1, 3, padding=1).double(), P4)
    assert report.worst < 1e-10


def halving(*layers_between, channels=2):
    lift = layers.LiftingConv(P4, 1, channels, 3, padding=1)
    return nn.Sequential(lift, nn.ReLU(), *layers_between).double()


@pytest.mark.parametrize(
    ("network", "size"),
    [
        (halving(layers.SpatialMaxPool(2, group=P4)), 66),
        (halving(*[layers.SpatialAvgPool(2, group=P4)] * 3), 72),
        (halving(layers.GroupConv(P4, 2, 2, 3, stride=2, padding=1)), 65),
        (halving(layers.GroupConv(P4, 2, 2, 3), layers.SpatialBlurPool(2, group=P4)), 66),
        (halving(layers.GroupPool(P4), nn.MaxPool2d(2), nn.AvgPool2d(4)), 72),
        (halving(layers.GroupPool(P4), nn.Conv2d(2, 1, 1, 2), nn.MaxPool2d(2)), 67),
        (halving(layers.GroupPool(P4), nn.Flatten(), nn.Linear(2 * 70**2, 3)), 70),
    ],
)
def test_a_size_is_chosen_that_fits_all_that_slides(network, size):
    assert blobs_for(network.eval(), P4).size == size


def test_an_equivariant_network_that_halves_has_rounding_error_without_being_told_a_size():
    pooled = (layers.SpatialMaxPool(2, group=P4), layers.GroupPool(P4), nn.MaxPool2d(2))
    network = halving(*pooled).train()
    assert equivariance_error(network, P4).worst < 1e-10
    assert layer_errors(network, P4).rows[-1].error < 1e-10
    assert network.training and not network[-1]._forward_pre_hooks


def test_windows_that_contradict_each_other_do_not_hide_the_error():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.even = nn.Conv2d(1, 1, 2, stride=2)
            self.odd = nn.Conv2d(1, 1, 1, stride=2)

        def forward(self, x):
            even, odd = self.even(x), self.odd(x)
            return even + odd[..., : even.shape[-2], : even.shape[-1]]

    assert blobs_for(Both().double(), P4).size == 65
    assert equivariance_error(Both().double(), P4).worst > 1e-3


def test_a_network_that_takes_no_size_says_why():
    network = halving(layers.GroupConv(P4, 3, 2, 3))
    message = r"takes none of the sizes 65 to 195; pass inputs=.* refused 65 with: GroupConv takes"
    with pytest.raises(ValueError, match=message):
        equivariance_error(network, P4)


def test_a_tensor_is_moved_by_the_group_itself():
    x = torch.randn(2, 1, 9, 7, dtype=torch.float64)
    lifting = layers.LiftingConv(P4, 1, 2, 3, padding=1).double()
    assert equivariance_error(lifting, P4, x).worst < 1e-10


def test_modes_are_as_they_were_afterwards_and_statistics_untouched():
    network = UNet(1, 1, P4, (2, 3)).train()
    network.encoder[0].eval()
    modes = [module.training for module in network.modules()]
    state = {name: value.clone() for name, value in network.state_dict().items()}
    equivariance_error(network, P4, Blobs(size=8))
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


def test_modes_are_as_they_were_after_a_failure():
    network = UNet(1, 1, P4, (2, 3)).train()
    with pytest.raises(ValueError, match="multiple of 2"):
        equivariance_error(network, P4, Blobs(size=9))
    assert all(module.training for module in network.modules())


def test_an_output_of_another_shape_is_refused():
    network = nn.AvgPool2d((2, 1))
    with pytest.raises(ValueError, match=r"element 1 of P4\(\) takes the output to shape"):
        equivariance_error(network, P4, torch.randn(1, 1, 8, 8))


def test_an_output_that_cannot_be_moved_is_refused():
    lifting = layers.LiftingConv(C8, 1, 1, 3)
    with pytest.raises(ValueError, match=r"P4\(\) acts on images"):
        equivariance_error(lifting, P4, Blobs(size=9))


class Broken(nn.Module):
    """The identity but for one pixel: of all images, or of those that are dark in the corner."""

    def __init__(self, value, always):
        super().__init__()
        self.value, self.always = value, always

    def forward(self, x):
        y = x.clone()
        if self.always or x[0, 0, 0, 0] == 0:
            y[0, 0, 2, 3] = self.value
        return y


CORNER = torch.ones(1, 1, 5, 5, dtype=torch.float64)
CORNER[..., 0, -1] = 0
MEASURES = {
    "equivariance_error": lambda network, x: equivariance_error(network, P4, x),
    "layer_errors": lambda network, x: layer_errors(network, P4, x),
    "error_curve": lambda network, x: error_curve(network, x, (0, 90)),
    "scale_curve": lambda network, x: scale_curve(network, x, (1, 0.8)),
}
over_measures = pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)


@over_measures
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_network_that_gives_no_numbers_is_named(measure, value):
    network = nn.Sequential(nn.Identity(), Broken(value, always=True))
    message = r"the output of .* holds NaN or infinity in 1 of 25 values"
    with pytest.raises(ValueError, match=message):
        measure(network, CORNER)


@over_measures
def test_an_input_that_holds_no_numbers_is_named(measure):
    with pytest.raises(ValueError, match=r"the input.* holds NaN or infinity in 1 of 25 values"):
        measure(nn.Identity(), Broken(float("nan"), always=True)(CORNER))


def test_the_motion_for_which_a_network_gives_no_numbers_is_named():
    network = Broken(float("nan"), always=False)
    with pytest.raises(ValueError, match=r"for the input moved by element 1 of P4\(\) holds NaN"):
        equivariance_error(network, P4, CORNER)
    with pytest.raises(ValueError, match=r"for the input moved by rotation\(90°\) holds NaN"):
        error_curve(network, CORNER, (0, 90))


def test_the_first_layer_that_gives_no_numbers_is_named():
    network = nn.Sequential(nn.ReLU(), Broken(float("nan"), always=True), nn.Sigmoid())
    with pytest.raises(ValueError, match=r"the output of layer '1' \(Broken\) holds NaN"):
        layer_errors(network, P4, CORNER)


def test_a_report_prints_a_row_for_every_element():
    lines = str(equivariance_error(nn.Identity(), C8, Blobs(size=17))).splitlines()
    assert lines[0].split() == ["element", "on", "the", "grid", "error", "floor"]
    assert len(lines) == 9
    assert "exact" in lines[1] and "between" in lines[2]
