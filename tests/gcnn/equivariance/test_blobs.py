"""Blobs: images that are moved without interpolation."""

import itertools

import pytest
import torch

from gcnn import groups
from gcnn.equivariance import Blobs
from gcnn.equivariance.blobs import blobs_for
from gcnn.geometry import rotation
from gcnn.groups import ScaleTranslation
from gcnn.layers import GroupConv, GroupConvTranspose, GroupPool, LiftingConv
from gcnn.models import UNet
from tests.gcnn.cases import SCALED, cube, exact_elements, relative_error


@pytest.mark.parametrize("group", [groups.P4M(), groups.SE2(8), cube()], ids=repr)
@pytest.mark.parametrize("on_group", [False, True])
def test_exact_elements_move_them_as_the_group_acts(group, on_group):
    options = {"size": 9, "channels": 2, "batch": 2, "dim": group.dim, "count": 5}
    blobs = Blobs(**options, group=group if on_group else None)
    for element in exact_elements(group):
        expected = group.act(blobs.images(), element)
        torch.testing.assert_close(blobs.moved(group.matrices[element]), expected)


@pytest.mark.parametrize("group", [None, groups.SE2(12)], ids=repr)
def test_other_elements_move_them_as_accurate_interpolation_does(group):
    blobs = Blobs(size=65, batch=1, group=group, count=10)
    turned = blobs.moved(rotation(30))
    expected = groups.SE2(12).act(blobs.images(), 1)
    assert relative_error(turned, expected) < 2e-3


def test_a_blob_is_a_gaussian_at_a_moved_place():
    blobs = Blobs(size=33, batch=1, count=1, radius=8, widths=(2.0, 2.0))
    for degrees in (0, 20, 110):
        image = blobs.moved(rotation(degrees))[0, 0].abs()
        row, column = divmod(int(image.argmax()), 33)
        centre, _, height = blobs._draw(1)
        x, y = rotation(degrees) @ centre[0, 0, 0, 0]
        assert abs(column - 16 - x) <= 0.5 and abs(16 - row - y) <= 0.5
        assert image.sum() == pytest.approx(float(height.abs()) * 8 * torch.pi, rel=1e-3)


SHEAR = torch.tensor([[1.0, 0.4], [0.0, 0.8]], dtype=torch.float64)
TILT = torch.tensor([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
IN_3D = torch.diag(torch.tensor([1.0, 0.7, 1.2], dtype=torch.float64))


@pytest.mark.parametrize("matrix", [rotation(20), 0.7 * rotation(200), SHEAR, 0.9 * TILT, IN_3D])
def test_any_matrix_moves_them_as_the_formula_says(matrix):
    dim = len(matrix)
    blobs = Blobs(size=7, channels=2, batch=2, dim=dim, count=3)
    centres, widths, heights = blobs._draw(1)
    expected = torch.zeros(2, 2, *(7,) * dim, dtype=torch.float64)
    for place in itertools.product(range(7), repeat=dim):
        x, y, *z = (place[-1] - 3, 3 - place[-2], *(depth - 3 for depth in place[:-2]))
        source = torch.linalg.inv(matrix) @ torch.tensor([x, y, *z], dtype=torch.float64)
        squared = ((centres[:, :, 0] - source) ** 2).sum(-1)
        values = heights[:, :, 0] * torch.exp(-squared / (2 * widths[:, :, 0] ** 2))
        expected[(..., *place)] = values.sum(-1)
    torch.testing.assert_close(blobs.moved(matrix), expected)


def test_they_are_wider_in_space_unless_told():
    narrowest = {dim: float(Blobs(size=9, dim=dim)._draw(1)[1].min()) for dim in (2, 3)}
    assert 1.5 < narrowest[2] < 2 < narrowest[3]
    assert Blobs(size=9, widths=(3.0, 3.0))._draw(1)[1].unique().tolist() == [3.0]


def test_scalings_move_them_and_bring_zeros_from_outside_the_window():
    blobs = Blobs(size=17, batch=1, group=SCALED, count=3)
    moved = blobs.moved(SCALED.matrices[1])
    assert not moved[:, :, 0].any()
    centre = (slice(None), slice(None), slice(None), 8, 8)
    torch.testing.assert_close(moved[centre][:, :, 1:], blobs.images()[centre][:, :, :2])


def test_equal_seeds_give_equal_blobs():
    assert torch.equal(Blobs(size=9).images(), Blobs(size=9).images())
    assert not torch.equal(Blobs(size=9).images(), Blobs(size=9, seed=1).images())


def test_a_matrix_outside_the_group_is_refused_for_feature_maps():
    with pytest.raises(ValueError, match=r"is not an element of P4\(\)"):
        Blobs(size=9, group=groups.P4()).moved(rotation(45))


def test_they_fit_the_first_layer_of_a_module():
    group = groups.P4()
    assert blobs_for(LiftingConv(group, 3, 1, 3), group).images().shape == (4, 3, 65, 65)
    features = blobs_for(GroupConv(group, 2, 1, 3), group).images()
    assert features.shape == (4, 2, 4, 65, 65)
    assert blobs_for(UNet(1, 1, group), group).size == 80
    scales = ScaleTranslation([1, 0.8, 0.64], 2, interaction=2, scale_padding="valid")
    for layer, count in ((GroupConv, 3), (GroupConvTranspose, 2)):
        features = blobs_for(layer(scales, 2, 1, 3), scales).images()
        assert features.shape == (4, 2, count, 65, 65)
    assert blobs_for(LiftingConv(cube(), 1, 1, 3), cube()).size == 33


def test_a_module_that_does_not_say_what_it_takes_needs_inputs():
    with pytest.raises(ValueError, match="cannot tell what GroupPool takes as input; pass inputs="):
        blobs_for(GroupPool(groups.P4()), groups.P4())
