"""Volumes keep their place in the patient, whatever is done to their voxels."""

import nibabel as nib
import numpy as np
import pytest

from experiments.tumour.grids import AXES, Grid, as_in_file, oriented, resample

SPACING = np.array([1.0, 2.0, 1.5])


def grid(shape=(14, 10, 12), spacing=SPACING, origin=(5.0, -7.0, 3.0)):
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = origin
    return Grid(shape, affine)


def places(where):
    """Millimetres of every voxel, of shape (*shape, 3)."""
    return where.places(np.stack(np.indices(where.shape), axis=-1))


@pytest.mark.parametrize("axes", ["RAS", "LPS", "SPL", "AIR", "PSL", "ILP"])
def test_any_orientation_becomes_ours_without_moving_a_voxel(axes):
    affine = np.eye(4)
    to_axes = nib.orientations.axcodes2ornt(axes)
    for axis, (runs, sign) in enumerate(to_axes.astype(int)):
        affine[:, axis] = 0
        affine[runs, axis] = sign * SPACING[runs]
    file = Grid((4, 5, 6), affine)
    stored = places(file)
    turned, turned_affine = oriented(stored, affine)
    assert "".join(nib.aff2axcodes(turned_affine)) == AXES
    assert np.allclose(turned, places(Grid(turned.shape[:3], turned_affine)))
    assert np.array_equal(as_in_file(turned[..., 0], file), stored[..., 0])


def test_our_axes_run_to_superior_posterior_and_left():
    _, affine = oriented(np.zeros((2, 2, 2)), np.eye(4))
    right, anterior, superior = affine[:3, :3]
    assert superior.tolist() == [1, 0, 0]
    assert anterior.tolist() == [0, -1, 0]
    assert right.tolist() == [0, 0, -1]


def test_a_tilted_volume_is_turned_to_the_nearest_axes():
    angle = np.deg2rad(20)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    file = Grid((4, 5, 6), affine)
    turned, turned_affine = oriented(places(file), affine)
    assert np.allclose(turned, places(Grid(turned.shape[:3], turned_affine)))


@pytest.mark.parametrize("spacing", [0.7, 1.5, 3.0])
def test_another_spacing_keeps_centre_and_field_of_view(spacing):
    coarse = grid().with_spacing(spacing)
    assert np.allclose(coarse.spacing, spacing)
    assert np.allclose(places(coarse).mean(axis=(0, 1, 2)), places(grid()).mean(axis=(0, 1, 2)))
    extent = np.array(coarse.shape) * spacing - np.array(grid().shape) * SPACING
    assert (np.abs(extent) <= spacing / 2 + 1e-9).all()


def test_a_window_keeps_the_places_of_its_voxels():
    window = grid().window(np.array([2, 3, 4]), np.array([5, 9, 7]))
    assert window.shape == (3, 6, 3)
    assert np.allclose(places(window), places(grid())[2:5, 3:9, 4:7])


@pytest.mark.parametrize("spacing", [0.6, 1.0, 1.4, 2.3])
def test_a_linear_field_is_resampled_exactly_where_the_source_surrounds_it(spacing):
    source = grid((20, 16, 18))
    target = source.with_spacing(spacing)
    slope = np.array([0.3, -1.0, 0.2])
    found = resample((places(source) @ slope)[None], source, target)[0]
    expected = places(target) @ slope
    low, high = places(source)[3, 3, 3], places(source)[-4, -4, -4]
    inner = ((places(target) > low) & (places(target) < high)).all(axis=-1)
    assert inner.sum() > 50
    # float32, and a triangle that is not centred on a voxel averages not quite symmetrically.
    assert np.abs(found - expected)[inner].max() < 0.2 * spacing
    assert np.abs((found - expected)[inner].mean()) < 0.01


@pytest.mark.parametrize("spacing", [0.5, 1.5, 2.0])
def test_a_constant_stays_the_same_up_to_the_border(spacing):
    source = grid()
    found = resample(np.ones((2, *source.shape)), source, source.with_spacing(spacing))
    assert np.allclose(found, 1.0)


def test_texture_finer_than_the_new_voxels_is_averaged_instead_of_aliased():
    source = grid((40, 40, 40), spacing=np.ones(3))
    stripes = np.broadcast_to(np.arange(40) % 2, source.shape)[None]
    found = resample(stripes, source, source.with_spacing(2.0))
    assert np.abs(found[..., 1:-1] - 0.5).max() < 0.1


def test_a_blob_keeps_place_and_volume_to_another_grid_and_back():
    source = grid((40, 28, 34))
    distance = np.linalg.norm(places(source) - places(source).mean(axis=(0, 1, 2)) - 2.0, axis=-1)
    blob = np.exp(-((distance / 8.0) ** 2))[None]
    target = source.with_spacing(2.5)
    there = resample(blob, source, target)
    back = resample(there, target, source)
    for values, where in ((there, target), (back, source)):
        centre = np.average(places(where).reshape(-1, 3), axis=0, weights=values.ravel())
        expected = np.average(places(source).reshape(-1, 3), axis=0, weights=blob.ravel())
        assert np.abs(centre - expected).max() < 0.1
        volume = values.sum() * np.prod(where.spacing)
        assert abs(volume / (blob.sum() * np.prod(SPACING)) - 1) < 0.02
    # Interpolated twice, which blurs: the curvature at the top is 4 / 8² per square millimetre.
    assert np.abs(back - blob).max() < 0.15


def test_what_lies_outside_the_source_is_zero():
    source = grid()
    larger = source.window(np.array([-3, 0, -2]), np.add(source.shape, [0, 4, 0]))
    found = resample(np.ones((1, *source.shape)), source, larger)[0]
    expected = np.zeros(larger.shape)
    expected[3:, :-4, 2:] = 1.0
    assert np.allclose(found, expected)


def test_grids_whose_axes_are_not_parallel_are_refused():
    tilted = grid().affine.copy()
    tilted[0, 1] = 1.0
    with pytest.raises(ValueError, match="the axes of the two grids are not parallel"):
        resample(np.ones((1, *grid().shape)), grid(), Grid(grid().shape, tilted))


def test_values_on_another_grid_than_they_say_are_refused():
    with pytest.raises(ValueError, match=r"of shape \(3, 3, 3\) are not on a grid of \(14, 10"):
        resample(np.ones((1, 3, 3, 3)), grid(), grid())
