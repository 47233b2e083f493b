"""Initialisation keeps the size of features through depth, for every group and basis."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gcnn import filters, groups, layers
from gcnn.kernels.gain import expected_gain
from tests.gcnn.cases import SCALES, cube, label, left_right

GROUPS = (
    groups.P4(),
    groups.P4M(),
    groups.SE2(8),
    groups.SE2(8, filters.Pixels(disc=True)),
    groups.SteerableSE2(4),
    groups.SteerableSE2(8),
    groups.SteerableSE2(12),
    groups.SteerableSE2(8, filters.CircularHarmonics()),
    groups.Dihedral(3),
    groups.Dihedral(8),
    left_right(),
    SCALES[0],
    SCALES[2],
)
LAYERS = 7


def mean_squares(group, kernel_size, seed, fields=16, edge=16):
    """The mean square after each of seven convolutions and ReLUs, on white noise."""
    torch.manual_seed(seed)
    x = torch.randn(1, 3, *(edge,) * group.dim)
    options = {"padding": "same", "padding_mode": "circular"}  # A border would lose some.
    found = []
    with torch.no_grad():
        for index in range(LAYERS):
            if index:
                layer = layers.GroupConv(group, fields, fields, kernel_size, **options)
            else:
                layer = layers.LiftingConv(group, 3, fields, kernel_size, **options)
            x = layer(x).relu()
            found.append(x.square().mean())
    return torch.stack(found)


@pytest.mark.parametrize("kernel_size", [3, 5])
@pytest.mark.parametrize("group", GROUPS, ids=label)
def test_white_noise_keeps_its_size_through_seven_layers(group, kernel_size):
    found = torch.stack([mean_squares(group, kernel_size, seed) for seed in range(4)]).mean(0)
    # Smooth filters take a part of white noise away at first; the layers that follow must neither
    # lose nor blow up what is left.
    assert found.min() > 0.1 and found.max() < 10
    assert 0.6 < (found[-1] / found[1]) ** (1 / (LAYERS - 2)) < 1.7


def test_the_cube_too():
    # Few fields scatter: behind ReLUs every field has a mean, and its weights draw one number.
    found = torch.stack([mean_squares(cube(), 3, seed, fields=12, edge=3) for seed in range(3)])
    assert found.mean(0).min() > 0.2 and found.mean(0).max() < 5


def test_the_gain_of_single_pixels_is_their_number_whatever_the_features():
    for group in (groups.P4M(), cube()):
        functions = group.basis.sample(group.matrices, 3)
        assert expected_gain(functions) == pytest.approx(len(functions))


def test_the_gain_is_the_power_of_the_response_to_features_of_that_kind():
    torch.manual_seed(0)
    functions = filters.CircularHarmonics().sample(groups.SE2(8).matrices, 5)
    axis = torch.fft.fftfreq(256, dtype=torch.float64) * 256
    alike = torch.exp(-(axis[:, None] ** 2 + axis**2) / (2 * 0.8) ** 2)
    spectrum = torch.fft.fft2(alike).real.clamp(min=0).sqrt()
    noise = torch.fft.fft2(torch.randn(16, 256, 256, dtype=torch.float64))
    features = torch.fft.ifft2(noise * spectrum).real
    # A mean with a share of 1/π of the power.
    features = (1 - 1 / math.pi) ** 0.5 * features / features.std() + math.pi**-0.5
    response = F.conv2d(features[:, None], functions.flatten(0, 1)[:, None])
    power = response.square().mean(dim=(0, 2, 3)).sum() / 8 / features.square().mean()
    assert expected_gain(functions) == pytest.approx(float(power), rel=0.02)


@pytest.mark.parametrize("layer_type", [layers.LiftingConv, layers.GroupConv])
def test_biases_start_at_zero_and_weights_are_drawn_anew_on_reset(layer_type):
    layer = layer_type(groups.SteerableSE2(8), 2, 3, 5)
    assert not layer.bias.any()
    nn.init.ones_(layer.bias)
    before = layer.weight.detach().clone()
    layer.reset_parameters()
    assert not layer.bias.any()
    assert not torch.equal(layer.weight, before)


def test_depthwise_groups_are_taken_into_account():
    torch.manual_seed(0)
    group = groups.P4()
    x = torch.randn(4, 32, 4, 12, 12)
    dense = layers.GroupConv(group, 32, 32, 3)(x).var().item()
    apart = layers.GroupConv(group, 32, 32, 3, groups=32)(x).var().item()
    assert apart == pytest.approx(dense, rel=0.3)


@pytest.mark.parametrize("smoothness", [0.0, 0.4, 1.5])
def test_a_layer_is_drawn_for_the_power_spectrum_that_its_basis_expects(smoothness):
    torch.manual_seed(0)
    power = filters.Power(smoothness)
    layer = layers.LiftingConv(groups.SteerableSE2(8, filters.OptimalSteerable(power)), 32, 64, 5)
    # Features with that spectrum and, as after a ReLU, a share of 1/π of their power in the mean.
    frequency = torch.fft.fftfreq(64, dtype=torch.float64) * 2 * math.pi
    squared = frequency[:, None] ** 2 + frequency**2
    shape = torch.exp(-((smoothness**2) * squared)).sqrt()
    noise = torch.fft.fft2(torch.randn(2, 32, 64, 64, dtype=torch.float64))
    features = torch.fft.ifft2(noise * shape).real
    features = (1 - 1 / math.pi) ** 0.5 * features / features.std() + math.pi**-0.5
    with torch.no_grad():
        y = layer.double()(features)
    # The gain is 2, for the ReLU that follows; the means of few fields scatter.
    assert float(y.square().mean()) == pytest.approx(2.0, rel=0.25)
