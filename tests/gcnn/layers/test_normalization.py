"""Normalisation of fields: one mean and one variance for all elements."""

import pytest
import torch

from gcnn import groups
from gcnn.layers import GroupBatchNorm, GroupInstanceNorm
from tests.gcnn.cases import SCALES, cube

GROUPS = (groups.P4(), groups.SteerableSE2(8), cube(), *SCALES[2:])
over_groups = pytest.mark.parametrize("group", GROUPS, ids=repr)
NORMS = (GroupBatchNorm, GroupInstanceNorm)
over_norms = pytest.mark.parametrize("norm", NORMS, ids=lambda norm: norm.__name__)


def features(group, channels=3):
    x = torch.randn(4, channels, group.order, *(5,) * group.dim, dtype=torch.float64)
    spread = torch.arange(1.0, channels + 1).view(-1, *(1,) * (group.dim + 1))
    return spread * x + spread**2


@over_groups
def test_batch_norm_has_the_statistics_of_a_field_over_batch_group_and_space(group):
    x = features(group)
    y = GroupBatchNorm(group, 3).double()(x)
    for channel in range(3):
        field = x[:, channel]
        expected = (field - field.mean()) / (field.var(unbiased=False) + 1e-5).sqrt()
        torch.testing.assert_close(y[:, channel], expected)


@over_groups
def test_batch_norm_remembers_running_statistics_and_uses_them_in_eval_mode(group):
    x = features(group)
    layer = GroupBatchNorm(group, 3, momentum=0.25).double()
    layer(x)
    fields = x.transpose(0, 1).flatten(1)
    torch.testing.assert_close(layer.running_mean, 0.25 * fields.mean(1))
    torch.testing.assert_close(layer.running_var, 0.75 + 0.25 * fields.var(1))
    view = (-1, *(1,) * (group.dim + 1))
    mean, var = layer.running_mean.view(view), layer.running_var.view(view)
    torch.testing.assert_close(layer.eval()(x), (x - mean) / (var + 1e-5).sqrt())


@over_groups
def test_instance_norm_has_the_statistics_of_each_field_of_each_image(group):
    x = features(group)
    y = GroupInstanceNorm(group, 3).double()(x)
    for image in range(4):
        for channel in range(3):
            field = x[image, channel]
            expected = (field - field.mean()) / (field.var(unbiased=False) + 1e-5).sqrt()
            torch.testing.assert_close(y[image, channel], expected)


@over_norms
def test_a_field_has_one_scale_and_one_shift(norm):
    layer = norm(groups.SE2(8), 5, affine=True)
    assert layer.weight.shape == layer.bias.shape == (5,)


def test_options_are_those_of_torch():
    torch_layer = torch.nn.BatchNorm2d(3, 1e-3, None, False)
    layer = GroupBatchNorm(groups.P4(), 3, 1e-3, None, False)
    for name in ("eps", "momentum", "affine", "track_running_stats"):
        assert getattr(layer, name) == getattr(torch_layer, name)
    assert GroupInstanceNorm(groups.P4(), 3).affine is torch.nn.InstanceNorm2d(3).affine is False
    stateless = GroupBatchNorm(groups.P4(), 3, track_running_stats=False)
    assert stateless.running_mean is None
    assert stateless.eval()(torch.randn(2, 3, 4, 5, 5)).mean().abs() < 1e-6


@over_norms
def test_images_and_other_groups_are_refused(norm):
    layer = norm(groups.P4(), 3)
    with pytest.raises(ValueError, match=rf"{norm.__name__} takes a feature map \(batch, channels"):
        layer(torch.zeros(2, 3, 5, 5))
    with pytest.raises(ValueError, match=r"P4\(\) acts on images"):
        layer(torch.zeros(2, 3, 8, 5, 5))


@over_norms
@over_groups
@pytest.mark.parametrize("training", [True, False])
def test_channels_last_gives_the_same_numbers(norm, group, training):
    torch.manual_seed(0)
    memory_format = torch.channels_last if group.dim == 2 else torch.channels_last_3d
    x = features(group)
    last = x.flatten(1, 2).contiguous(memory_format=memory_format).unflatten(1, x.shape[1:3])
    one, other = norm(group, 3).double(), norm(group, 3).double()
    for _ in range(2):
        expected, found = one(x), other(last)
    if not training:
        expected, found = one.eval()(x), other.eval()(last)
    torch.testing.assert_close(found, expected)
    assert found.flatten(1, 2).is_contiguous(memory_format=memory_format)
    for name, buffer in one.named_buffers():
        torch.testing.assert_close(other.get_buffer(name), buffer)
