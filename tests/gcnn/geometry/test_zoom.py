"""Images scaled together with their grid, against closed forms."""

import pytest
import torch
from torch.nn import functional as F

from gcnn.geometry import INTERPOLATIONS, scaled_size, transform, zoom

SMOOTH = ("linear", "cubic", "quintic")
SPLINES = ("cubic", "quintic")


def blob(size, width, shift=0.0):
    """A Gaussian about the centre of its grid, or `shift` pixels from it along every axis."""
    axes = [torch.arange(n, dtype=torch.float64) - (n - 1) / 2 - shift for n in size]
    squares = sum(a**2 for a in torch.meshgrid(*axes, indexing="ij"))
    return torch.exp(-squares / (2 * width**2))


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("factor", [0.5, 0.7, 0.81, 1.25, 2.0])
@pytest.mark.parametrize("size", [(61,), (60, 53), (48, 60, 53)])
def test_a_blob_becomes_the_blob_of_the_scaled_width_at_the_scaled_place(size, factor):
    expected = blob([scaled_size(n, factor) for n in size], 4 * factor, 2 * factor)
    error = {}
    for name in SMOOTH:
        scaled = zoom(blob(size, 4.0, 2.0), factor, len(size), name)
        assert scaled.shape == expected.shape
        error[name] = float((scaled - expected).norm() / expected.norm())
    assert 3 * error["quintic"] < error["cubic"] < 2e-3
    assert 5 * error["cubic"] < error["linear"] < 0.1


@pytest.mark.parametrize("interpolation", SPLINES)
@pytest.mark.parametrize("factor", [0.5, 0.8])
def test_no_smaller_image_is_closer_to_the_image_than_the_shrunken_one(interpolation, factor):
    f = noise(40)
    shrunken = zoom(f, factor, 1, interpolation)

    def distance(coarse):
        fine = [zoom(f, 16, 1, interpolation), zoom(coarse, 16 / factor, 1, interpolation)]
        return float((fine[0] - fine[1]).norm())

    for seed in range(10):
        for step in (0.01, -0.01):
            assert distance(shrunken + step * noise(len(shrunken), seed=seed)) > distance(shrunken)


@pytest.mark.parametrize("interpolation", ["nearest", "linear"])
@pytest.mark.parametrize("factor", [1.0, 1.3, 2.0])
def test_enlarging_is_moving_by_a_multiple_of_the_identity_on_a_grid_with_room(
    interpolation, factor
):
    f, size = noise(3, 8, 11), (scaled_size(8, factor), scaled_size(11, factor))
    rows, columns = ((n - m) // 2 for n, m in zip(size, (8, 11), strict=True))
    padded = F.pad(f, (columns, columns, rows, rows))
    expected = transform(padded, factor * torch.eye(2, dtype=torch.float64), interpolation)
    torch.testing.assert_close(zoom(f, factor, 2, interpolation), expected)


@pytest.mark.parametrize("interpolation", SMOOTH)
def test_a_constant_stays_a_constant_far_from_the_border(interpolation):
    scaled = zoom(torch.full((100,), 3.0, dtype=torch.float64), 0.7, 1, interpolation)
    middle = scaled[30:-30]
    torch.testing.assert_close(middle, torch.full_like(middle, 3.0), atol=1e-4, rtol=0)


def test_linear_weights_are_never_negative_and_what_is_outside_is_zero():
    f = noise(12, 13).abs()
    alone = zoom(f, 0.8, 2, "linear")
    around = zoom(F.pad(f, (5,) * 4), 0.8, 2, "linear")
    spare = [(there - here) // 2 for there, here in zip(around.shape, alone.shape, strict=True)]
    torch.testing.assert_close(around[spare[0] : -spare[0], spare[1] : -spare[1]], alone)
    assert (alone >= 0).all() and (around >= 0).all()


@pytest.mark.parametrize("interpolation", SMOOTH)
def test_what_the_smaller_grid_cannot_carry_is_removed(interpolation):
    checker = (torch.arange(64) % 2).double() - 0.5
    assert checker[1::2].abs().min() == 0.5
    assert zoom(checker, 0.5, 1, interpolation)[8:-8].abs().max() < 0.05


@pytest.mark.parametrize("factor", [0.5, 0.8, 0.97])
@pytest.mark.parametrize("interpolation", SMOOTH)
def test_shrinking_does_not_amplify_noise(interpolation, factor):
    f = noise(64, 64)
    assert zoom(f, factor, 2, interpolation).norm() < f.norm() * factor


@pytest.mark.parametrize("interpolation", SMOOTH)
@pytest.mark.parametrize("factor", [0.8, 1.3])
def test_mirrored_images_are_scaled_to_mirrored_ones(interpolation, factor):
    volume = noise(1, 12, 13, 14)
    for axis in (1, 2, 3):
        mirrored = zoom(volume.flip(axis), factor, 3, interpolation)
        torch.testing.assert_close(mirrored, zoom(volume, factor, 3, interpolation).flip(axis))


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("factor", [0.6, 1.4])
def test_another_size_only_crops_or_pads(interpolation, factor):
    f = noise(21)
    whole = zoom(f, factor, 1, interpolation)
    n = len(whole)
    wider = zoom(f, factor, 1, interpolation, size=(n + 6,))
    torch.testing.assert_close(wider, F.pad(whole, (3, 3)))
    narrower = zoom(f, factor, 1, interpolation, size=(n - 4,))
    torch.testing.assert_close(narrower, whole[2:-2])


def test_the_size_follows_the_factor_in_steps():
    assert [scaled_size(96, f) for f in (0.7, 0.8, 0.9, 1.0, 1.1)] == [68, 78, 88, 96, 106]
    assert [scaled_size(33, f) for f in (0.7, 1.0)] == [25, 33]
    assert scaled_size(2, 0.1) == 2 and scaled_size(1, 0.1) == 1
    assert [scaled_size(64, f, step=16) for f in (0.1, 0.7, 1.0, 1.1)] == [16, 48, 64, 80]
    for size in range(1, 40):
        for step in (1, 2, 3, 8):
            scaled = scaled_size(size, 0.7, step)
            assert 0.7 * size <= scaled < 0.7 * size + step and (scaled - size) % step == 0


def test_factor_one_changes_nothing():
    f = noise(2, 5, 6, 7)
    assert torch.equal(zoom(f, 1.0, 3), f)
    torch.testing.assert_close(zoom(f, 1.0, 3, size=(7, 8, 9)), F.pad(f, (1,) * 6))


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_the_gradient_is_that_of_finite_differences(interpolation):
    f = noise(1, 5, 6).requires_grad_()
    for factor in (0.6, 1.3):
        assert torch.autograd.gradcheck(lambda x, s=factor: zoom(x, s, 2, interpolation), (f,))


def test_dtype_is_kept():
    assert zoom(torch.ones(4, 4), 0.5, 2).dtype == torch.float32


def test_what_makes_no_sense_is_refused():
    f = torch.zeros(1, 4, 4)
    for factor in (0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=r"an edge of 4 pixels cannot be scaled by"):
            zoom(f, factor, 2)
        with pytest.raises(ValueError, match=r"cannot be scaled by"):
            zoom(f, factor, 2, size=(4, 4))
    with pytest.raises(ValueError, match=r"'quintic'\), got 'keys'"):
        zoom(f, 0.5, 2, "keys")
    with pytest.raises(ValueError, match=r"shape \(1, 4, 4\) has no 4 axes of space"):
        zoom(f, 0.5, 4)
    with pytest.raises(ValueError, match=r"size must be 2 positive integers, got \(4,\)"):
        zoom(f, 0.5, 2, size=(4,))
    with pytest.raises(TypeError, match=r"torch.uint8 cannot be interpolated; use image.float"):
        zoom(f.to(torch.uint8), 0.5, 2)
