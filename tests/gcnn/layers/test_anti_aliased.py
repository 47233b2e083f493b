"""Nonlinearities that make no frequency the grid cannot turn."""

import math

import pytest
import torch
from torch import nn

from gcnn.layers import AntiAliased
from gcnn.layers.anti_aliased import interpolation_matrix
from tests.gcnn.cases import Blobs


def wave(frequency, size=32):
    """A cosine of `frequency` (Nyquist is 1), continued by reflection without a kink."""
    places = torch.arange(size, dtype=torch.float64) + 0.5
    periods = round(frequency * size)
    return torch.cos(math.pi * periods * places / size)


def test_the_identity_passes_smooth_images_nearly_unchanged():
    images = Blobs().image()
    error = (AntiAliased(nn.Identity())(images) - images).norm() / images.norm()
    # Twelve taps cannot be perfect; a steerable layer alone has .004.
    assert error < 2e-3


def test_constants_pass_exactly():
    x = torch.full((1, 1, 9, 12), 1.7, dtype=torch.float64)
    torch.testing.assert_close(AntiAliased(nn.ReLU())(x), x, atol=1e-3, rtol=0)
    assert not AntiAliased(nn.ReLU())(-x).any()


@pytest.mark.parametrize("frequency", [0.125, 0.5, 0.625])
def test_frequencies_below_the_cutoff_pass(frequency):
    x = wave(frequency)[None, None, None].expand(1, 1, 32, 32)
    y = AntiAliased(nn.Identity())(x)
    torch.testing.assert_close(y, x, atol=0.02, rtol=0)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 33])
def test_interpolation_keeps_constants_and_is_symmetric_about_the_centre(size):
    matrix = interpolation_matrix(size)
    assert matrix.shape == (2 * size, size)
    torch.testing.assert_close(matrix.sum(1), torch.ones(2 * size, dtype=torch.float64))
    torch.testing.assert_close(matrix.flip(0, 1), matrix)


def test_interpolation_puts_fine_pixels_a_quarter_beside_the_coarse_ones():
    coarse = torch.arange(32, dtype=torch.float64) + 0.5
    fine = (torch.arange(64, dtype=torch.float64) + 0.5) / 2
    for periods in (2, 5, 9):
        expected = torch.cos(math.pi * periods * fine / 32)
        found = interpolation_matrix(32) @ torch.cos(math.pi * periods * coarse / 32)
        torch.testing.assert_close(found, expected, atol=0.005, rtol=0)


def test_a_relu_makes_less_of_the_frequencies_beyond_nyquist():
    # The square of a wave above half of Nyquist has an alias; between the grids it has not.
    class Square(nn.Module):
        def forward(self, x):
            return x**2

    x = wave(0.75)[None, None, None].expand(1, 1, 32, 32)
    alias = wave(0.5)
    plain = ((x**2)[0, 0, 0] * alias).mean()
    smooth = (AntiAliased(Square())(x)[0, 0, 0] * alias).mean()
    assert plain.abs() > 0.1
    assert smooth.abs() < 0.1 * plain.abs()


def test_both_steps_are_the_matrix_products_written_out():
    x = torch.randn(2, 3, 7, 10, dtype=torch.float64)
    rows, columns = interpolation_matrix(7), interpolation_matrix(10)
    fine = torch.einsum("ar,bc,nkrc->nkab", rows, columns, x).relu()
    expected = torch.einsum("ar,bc,nkab->nkrc", rows, columns, fine) / 4
    torch.testing.assert_close(AntiAliased(nn.ReLU())(x), expected)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_any_dimension_on_images_and_feature_maps(dim):
    layer = AntiAliased(nn.ReLU(), dim=dim)
    x = torch.randn(2, 3, 4, *(5, 6, 7)[:dim])
    y = layer(x)
    assert y.shape == x.shape
    for h in range(4):
        torch.testing.assert_close(layer(x[:, :, h]), y[:, :, h])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_dtype_and_channels_last_are_kept(dtype):
    x = torch.randn(2, 12, 8, 8).to(dtype).contiguous(memory_format=torch.channels_last)
    y = AntiAliased(nn.ReLU())(x)
    assert y.dtype == dtype and y.is_contiguous(memory_format=torch.channels_last)
    y = AntiAliased(nn.ReLU(), dim=2)(x.unflatten(1, (3, 4))).flatten(1, 2)
    assert y.dtype == dtype and y.is_contiguous(memory_format=torch.channels_last)


def test_the_activation_may_have_weights_and_state_is_its_own_alone():
    layer = AntiAliased(nn.PReLU())
    assert list(layer.state_dict()) == ["activation.weight"]
    layer(torch.randn(1, 1, 6, 6)).sum().backward()
    assert layer.activation.weight.grad is not None


@pytest.mark.parametrize("activation", [torch.relu, nn.ReLU, "relu"])
def test_an_activation_must_be_a_module(activation):
    with pytest.raises(TypeError, match=r"activation must be a module such as nn\.ReLU\(\), got"):
        AntiAliased(activation)


def test_wrong_axes_are_refused():
    with pytest.raises(ValueError, match=r"expected \(batch, channels, \*2 of space\)"):
        AntiAliased(nn.ReLU(), dim=2)(torch.zeros(5, 5))


def test_the_gradient_is_that_of_finite_differences():
    x = torch.randn(1, 1, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(AntiAliased(nn.Tanh()), (x,))
