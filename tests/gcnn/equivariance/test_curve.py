"""The error at any angle and at any scale."""

import math

import pytest
import torch
from torch import nn

from gcnn import groups, layers
from gcnn.equivariance import Blobs, equivariance_error, error_curve, scale_curve
from gcnn.models import UNet

C8 = groups.SE2(8)


def test_the_curve_of_an_equivariant_network_is_zero_at_quarter_turns_and_its_own_between():
    torch.manual_seed(0)
    network = UNet(1, 1, groups.SteerableSE2(8), (2,), kernel_size=5, norm="none").double()
    curve = error_curve(network, Blobs(size=49, batch=1), angles=(0, 22.5, 45, 90, 180, 270))
    assert curve.angles == (0.0, 22.5, 45.0, 90.0, 180.0, 270.0)
    for angle, error, floor in zip(curve.angles, curve.errors, curve.floors, strict=True):
        if angle % 90 == 0:
            assert error < 1e-10 and floor == 0
        else:
            assert floor < error and floor < 0.01
    # 45° is in the group, 22.5° is not.
    assert curve.errors[2] < curve.errors[1]


def test_a_curve_prints_its_angles():
    text = str(error_curve(nn.Identity(), Blobs(size=17), angles=(0, 30)))
    assert text.splitlines()[0].split() == ["angle", "error", "floor"]
    assert text.splitlines()[2].split()[0] == "30°"


def test_a_curve_needs_an_image_or_a_vector():
    with pytest.raises(ValueError, match="acts on images"):
        error_curve(layers.LiftingConv(C8, 1, 1, 3), Blobs(size=9), angles=(30,))


def test_the_curve_of_a_vector_is_its_change():
    class Height(nn.Module):
        def forward(self, x):
            return torch.stack([x.sum((1, 2, 3)), x[:, 0, :4].sum((1, 2))], dim=1)

    curve = error_curve(Height(), torch.rand(3, 1, 8, 8), angles=(0, 90))
    assert curve.errors[0] == 0 and curve.errors[1] > 0
    assert math.isfinite(curve.errors[1])


class Scaled(nn.Module):
    """Divides an image by how much of it is lit, which does not commute with zooming."""

    def forward(self, x):
        return x / (x > 0.5).double().mean()


SQUARE = torch.zeros(1, 1, 31, 31, dtype=torch.float64)
SQUARE[..., 11:20, 11:20] = 1


@pytest.mark.parametrize("dim", [2, 3])
def test_what_acts_at_each_pixel_commutes_with_any_zoom_up_to_the_floor(dim):
    blobs = Blobs(size=65 if dim == 2 else 33, batch=2, dim=dim)
    curve = scale_curve(nn.Sigmoid(), blobs, scales=(0.7, 1.0, 1.3))
    assert curve.scales == (0.7, 1.0, 1.3)
    assert curve.errors[1] == curve.floors[1] == 0
    assert max(curve.errors) < 1e-3
    for error, floor in zip(curve.errors, curve.floors, strict=True):
        assert error == pytest.approx(floor, rel=0.3)


def test_the_error_at_a_scale_is_the_formula():
    curve = scale_curve(Scaled(), SQUARE, scales=(0.4, 0.5), interpolation="nearest")
    # The square of 9 pixels becomes one of 3 and one of 5.
    expected = [(1 / n**2 - 1 / 9**2) * n**2 for n in (3, 5)]
    assert curve.errors == pytest.approx(expected)


def test_an_ordinary_convolution_is_wrong_at_all_scales_but_one():
    torch.manual_seed(0)
    curve = scale_curve(
        nn.Conv3d(1, 1, 3, padding=1).double(), Blobs(size=17, dim=3), (0.8, 1, 1.25)
    )
    assert curve.errors[1] == 0
    assert all(10 * curve.floors[k] < curve.errors[k] for k in (0, 2))


def test_curves_measure_as_the_error_of_an_element_does():
    torch.manual_seed(0)
    network = nn.Conv2d(1, 1, 3, padding=1).double()
    blobs = Blobs(size=25)
    zoom = groups.Group([0.8 * torch.eye(2, dtype=torch.float64)])
    row = equivariance_error(network, zoom, blobs, inner=0.5).rows[0]
    curve = scale_curve(network, blobs, [0.8], inner=0.5)
    assert (curve.errors[0], curve.floors[0]) == (row.error, row.floor)
    row = equivariance_error(network, C8, blobs, [1], inner=0.5).rows[0]
    curve = error_curve(network, blobs, [45], inner=0.5)
    assert (curve.errors[0], curve.floors[0]) == (row.error, row.floor)


def test_a_curve_over_scales_prints_them():
    text = str(scale_curve(nn.Identity(), Blobs(size=17), scales=(1, 0.75)))
    assert text.splitlines()[0].split() == ["scale", "error", "floor"]
    assert [line.split()[0] for line in text.splitlines()[1:]] == ["1", "0.75"]


@pytest.mark.parametrize("scale", [0, -0.5, float("nan"), float("inf")])
def test_a_scale_that_is_not_positive_is_refused(scale):
    with pytest.raises(ValueError, match=f"scales must be positive, got {scale}"):
        scale_curve(nn.Identity(), Blobs(size=9), [1.0, scale])


def test_a_curve_over_scales_needs_an_image_or_a_vector():
    with pytest.raises(ValueError, match="acts on images"):
        scale_curve(layers.LiftingConv(C8, 1, 1, 3), Blobs(size=9), [0.8])


def test_a_network_is_left_in_its_mode():
    network = nn.Dropout().train()
    assert scale_curve(network, Blobs(size=9), [1.0]).errors == (0.0,)
    assert network.training
