"""Batch normalisation of contiguous fields in float32, beside statistics in float64."""

import pytest
import torch

from gcnn import groups
from gcnn.layers import GroupBatchNorm, field_norm

RESOLUTION = torch.finfo(torch.float32).eps


def normalised(x, **options):
    layer = GroupBatchNorm(groups.P4(), x.shape[1], eps=0, **options)
    return layer(x), layer


@pytest.mark.parametrize("mean", [0.0, 1.0, -2.9, 3.1, 30.0, 1000.0])
def test_statistics_are_exact_to_float32_however_large_the_mean(mean):
    torch.manual_seed(0)
    x = torch.randn(4, 3, 4, 96, 96) * torch.tensor([1e-3, 1.0, 1e3]).view(3, 1, 1, 1)
    x = x + mean * torch.tensor([1e-3, 1.0, 1e3]).view(3, 1, 1, 1)
    _, layer = normalised(x, momentum=1.0)
    fields = x.double().transpose(0, 1).flatten(1)
    torch.testing.assert_close(layer.running_var.double(), fields.var(1), rtol=1e-5, atol=0)
    deviation = fields.std(1)
    error = (layer.running_mean.double() - fields.mean(1)).abs() / deviation
    assert error.max() < 10 * RESOLUTION * (1 + abs(mean))


def test_a_field_that_is_constant_stays_finite():
    layer = GroupBatchNorm(groups.P4(), 2)
    x = torch.full((2, 2, 4, 8, 8), 7.0, requires_grad=True)
    y = layer(x)
    assert y.abs().max() < 1e-2
    y.sum().backward()
    assert x.grad.isfinite().all()


def test_infinite_and_missing_numbers_are_passed_on():
    for value in (float("nan"), float("inf")):
        x = torch.randn(2, 1, 4, 8, 8)
        x[0, 0, 0, 0, 0] = value
        assert normalised(x)[0].isnan().any()


def test_float32_takes_sums_and_half_precision_the_kernel(monkeypatch):
    taken = []
    original = field_norm._statistics
    monkeypatch.setattr(field_norm, "_statistics", lambda x: taken.append(x.dtype) or original(x))
    layer = GroupBatchNorm(groups.P4(), 2)
    for dtype in (torch.float32, torch.bfloat16):
        layer(torch.randn(2, 2, 4, 8, 8).to(dtype))
    layer.eval()(torch.randn(2, 2, 4, 8, 8))
    assert taken == [torch.float32]
