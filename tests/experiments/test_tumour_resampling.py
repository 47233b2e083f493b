"""Scaling volumes about their centre, against closed forms."""

import math

import pytest
import torch

from experiments.tumour.resampling import Kernel, scaled_size, zoom, zoom_mask


def blob(size: tuple[int, int, int], width: float, shift: float = 0.0) -> torch.Tensor:
    """A Gaussian (1, D, H, W) about the centre of its grid, or `shift` voxels from it."""
    axes = [torch.arange(n, dtype=torch.float64) - (n - 1) / 2 - shift for n in size]
    squares = sum(a**2 for a in torch.meshgrid(*axes, indexing="ij"))
    return torch.exp(-torch.as_tensor(squares) / (2 * width**2))[None]


@pytest.mark.parametrize("factor", [0.5, 0.7, 0.81, 1.25])
@pytest.mark.parametrize(("kernel", "tolerance"), [("cubic", 0.02), ("linear", 0.06)])
def test_a_blob_becomes_the_blob_of_the_scaled_width_at_the_scaled_place(
    factor: float, kernel: Kernel, tolerance: float
) -> None:
    volume = blob((32, 40, 33), 4.0, shift=2.0)
    scaled = zoom(volume, factor, kernel)
    size = scaled_size(32, factor), scaled_size(40, factor), scaled_size(33, factor)
    expected = blob(size, 4.0 * factor, shift=2.0 * factor)
    assert scaled.shape == expected.shape
    assert (scaled - expected).abs().max() < tolerance


def test_the_size_follows_the_factor_and_keeps_even_even() -> None:
    assert [scaled_size(96, f) for f in (0.7, 0.8, 0.9, 1.0, 1.1)] == [68, 78, 88, 96, 106]
    assert [scaled_size(33, f) for f in (0.7, 1.0)] == [25, 33]
    assert scaled_size(2, 0.1) == 2 and scaled_size(1, 0.1) == 1
    for size in range(1, 40):
        assert size * 0.7 <= scaled_size(size, 0.7) < size * 0.7 + 2


def test_factor_one_changes_nothing() -> None:
    volume = torch.randn(2, 5, 6, 7)
    assert torch.equal(zoom(volume, 1.0), volume)


@pytest.mark.parametrize("kernel", ["linear", "cubic"])
def test_a_constant_stays_a_constant_inside(kernel: Kernel) -> None:
    scaled = zoom(torch.full((1, 19, 20, 21), 3.0), 0.7, kernel)[..., 3:-3, 3:-3, 3:-3]
    torch.testing.assert_close(scaled, torch.full_like(scaled, 3.0))


@pytest.mark.parametrize("kernel", ["linear", "cubic"])
def test_zeros_around_the_volume_change_nothing(kernel: Kernel) -> None:
    volume = torch.randn(1, 12, 13, 14, dtype=torch.float64)
    around = zoom(torch.nn.functional.pad(volume, (5,) * 6), 0.8, kernel)
    alone = zoom(volume, 0.8, kernel)
    spare = [(there - here) // 2 for there, here in zip(around.shape, alone.shape, strict=True)]
    inner = around[0][tuple(slice(n, -n) for n in spare[1:])]
    torch.testing.assert_close(inner, alone[0])


def test_what_the_smaller_grid_cannot_carry_is_removed() -> None:
    checker = (torch.arange(64) % 2).double()[None, None, None].expand(1, 8, 8, 64) - 0.5
    plain = checker[..., 1::2]
    assert plain.abs().min() == 0.5
    assert zoom(checker.clone(), 0.5, "cubic")[..., 8:-8].abs().max() < 0.05


def test_mirrored_volumes_are_scaled_to_mirrored_ones() -> None:
    volume = torch.randn(1, 12, 13, 14, dtype=torch.float64)
    for axis in (1, 2, 3):
        mirrored = zoom(volume.flip(axis), 0.8)
        torch.testing.assert_close(mirrored, zoom(volume, 0.8).flip(axis))


def test_the_volume_of_a_scaled_ball_is_that_of_the_smaller_ball() -> None:
    ball = (blob((48, 48, 48), 1.0).log() * -2 <= 15.0**2).to(torch.uint8)
    scaled = zoom_mask(ball, 0.8)
    assert scaled.dtype == torch.uint8 and set(scaled.unique().tolist()) == {0, 1}
    assert scaled.sum().item() == pytest.approx(4 / 3 * math.pi * 12.0**3, rel=0.02)


def test_nested_masks_stay_nested() -> None:
    generator = torch.Generator().manual_seed(0)
    outer = (torch.rand(1, 16, 16, 16, generator=generator) > 0.4).to(torch.uint8)
    inner = outer * (torch.rand(1, 16, 16, 16, generator=generator) > 0.4).to(torch.uint8)
    assert bool((zoom_mask(inner, 0.7) <= zoom_mask(outer, 0.7)).all())


def test_factors_and_kernels_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match=r"cannot be scaled by 0"):
        zoom(torch.zeros(1, 4, 4, 4), 0)
    with pytest.raises(ValueError, match=r"\['cubic', 'linear'\], not 'nearest'"):
        zoom(torch.zeros(1, 4, 4, 4), 0.5, "nearest")  # type: ignore[arg-type]
