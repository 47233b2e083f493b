"""Pooling and up-sampling over space: the numbers of torch on every element, centred."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gcnn import groups
from gcnn.layers import (
    AntiAliased,
    SpatialAvgPool,
    SpatialBlurPool,
    SpatialMaxPool,
    SpatialUpsample,
)

LAYERS = (
    SpatialMaxPool(2, dim=2),
    SpatialAvgPool(2, dim=2),
    SpatialBlurPool(dim=2),
    SpatialUpsample(dim=2),
    SpatialUpsample(3, "nearest", dim=2),
)
MAKE = (
    lambda **space: SpatialMaxPool(2, **space),
    lambda **space: SpatialAvgPool(2, **space),
    lambda **space: SpatialBlurPool(2, **space),
    lambda **space: SpatialUpsample(2, **space),
    lambda **space: AntiAliased(nn.ReLU(), **space),
)
over_kinds = pytest.mark.parametrize("make", MAKE, ids=lambda make: type(make()).__name__)
over_layers = pytest.mark.parametrize("layer", LAYERS, ids=repr)


@pytest.mark.parametrize(
    ("layer", "reference"),
    [
        (SpatialMaxPool(2, dim=2), lambda x: F.max_pool2d(x, 2)),
        (SpatialMaxPool(3, 1, 1, dim=2), lambda x: F.max_pool2d(x, 3, 1, 1)),
        (SpatialAvgPool(2, dim=2), lambda x: F.avg_pool2d(x, 2)),
        (SpatialAvgPool(4, 2, 1, dim=2), lambda x: F.avg_pool2d(x, 4, 2, 1)),
        (SpatialUpsample(dim=2), lambda x: F.interpolate(x, scale_factor=2, mode="bilinear")),
        (SpatialUpsample(3, "nearest", dim=2), lambda x: F.interpolate(x, scale_factor=3)),
    ],
    ids=lambda value: repr(value) if isinstance(value, torch.nn.Module) else "",
)
def test_images_are_treated_as_torch_does_and_feature_maps_element_by_element(layer, reference):
    x = torch.randn(2, 3, 4, 8, 6)
    torch.testing.assert_close(layer(x[:, :, 0]), reference(x[:, :, 0]))
    expected = torch.stack([reference(x[:, :, h]) for h in range(4)], dim=2)
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize(
    ("layer", "reference"),
    [
        (SpatialMaxPool(2, dim=3), lambda x: F.max_pool3d(x, 2)),
        (SpatialAvgPool(2, dim=3), lambda x: F.avg_pool3d(x, 2)),
        (SpatialUpsample(2, dim=3), lambda x: F.interpolate(x, scale_factor=2, mode="trilinear")),
    ],
    ids=lambda value: repr(value) if isinstance(value, torch.nn.Module) else "",
)
def test_volumes_too(layer, reference):
    x = torch.randn(2, 3, 4, 4, 6)
    torch.testing.assert_close(layer(x), reference(x))


def test_signals_too():
    x = torch.randn(2, 3, 8)
    assert torch.equal(SpatialMaxPool(2, dim=1)(x), F.max_pool1d(x, 2))
    assert SpatialUpsample(2, dim=1)(x).shape == (2, 3, 16)


def test_blur_pooling_weighs_four_by_four_pixels_binomially():
    x = torch.randn(1, 1, 6, 8, dtype=torch.float64)
    row = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=torch.float64) / 8
    padded = F.pad(x, (1,) * 4, mode="replicate")
    for i, j in ((0, 0), (1, 2), (2, 3)):
        window = padded[0, 0, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4]
        expected = row @ window @ row
        torch.testing.assert_close(SpatialBlurPool()(x)[0, 0, i, j], expected)


@pytest.mark.parametrize("stride", [2, 4])
def test_blur_pooling_keeps_constants_and_removes_the_finest_checkerboard(stride):
    layer = SpatialBlurPool(stride)
    constant = torch.full((1, 2, 16, 16), 3.0)
    pooled = layer(constant)
    assert pooled.shape == (1, 2, 16 // stride, 16 // stride)
    torch.testing.assert_close(pooled, torch.full_like(pooled, 3.0))
    rows = torch.arange(16)
    checkerboard = ((rows[:, None] + rows) % 2 * 2.0 - 1).expand(1, 1, 16, 16)
    assert layer(checkerboard)[..., 1:-1, 1:-1].abs().max() < 1e-6


@pytest.mark.parametrize("stride", [1, 3])
def test_an_odd_stride_of_blur_pooling_is_refused(stride):
    with pytest.raises(ValueError, match=f"stride must be even, .* got {stride}"):
        SpatialBlurPool(stride)


@over_layers
def test_constants_are_kept(layer):
    y = layer(torch.full((1, 2, 4, 8, 8), 2.5))
    torch.testing.assert_close(y, torch.full_like(y, 2.5))


@pytest.mark.parametrize("layer", [SpatialAvgPool(2), SpatialBlurPool(), SpatialUpsample(2)])
def test_a_ramp_keeps_its_centre(layer):
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    y = layer(ramp)
    torch.testing.assert_close(y + y.flip(-1), torch.full_like(y, 7.0))


@over_kinds
def test_a_planar_image_needs_no_dimension_and_neither_does_a_feature_map_of_volumes(make):
    image, features = torch.randn(2, 3, 8, 8), torch.randn(2, 3, 4, 8, 8, 8)
    assert torch.equal(make()(image), make(dim=2)(image))
    assert torch.equal(make()(features), make(dim=3)(features))


@over_kinds
def test_what_could_be_a_planar_feature_map_or_a_volume_is_refused_with_both_named(make):
    layer = make()
    message = (
        r"shape \(1, 2, 4, 8, 8\) could be a feature map \(batch, channels, \|H\|, rows, columns\) "
        r"or a volume \(batch, channels, depth, rows, columns\); give "
        rf"{type(layer).__name__} the group, or dim=2 for the one and dim=3 for the other"
    )
    with pytest.raises(ValueError, match=message):
        layer(torch.zeros(1, 2, 4, 8, 8))


@over_kinds
@pytest.mark.parametrize("shape", [(8, 8), (2, 8, 8), (1, 1, 1, 1, 1, 8, 8)])
def test_what_could_be_nothing_in_the_plane_is_refused_without_a_dimension(make, shape):
    with pytest.raises(ValueError, match="give the group or dim for other than planar images"):
        make()(torch.zeros(shape))


@over_kinds
def test_the_group_says_which_axes_are_space(make):
    cube = groups.Group([torch.eye(3)], name="Cube()")
    line = groups.Group([[[1.0]], [[-1.0]]], name="Line()")
    for group, shape in ((groups.P4(), (8, 8)), (cube, (4, 8, 8)), (line, (8,))):
        layer, same = make(group=group), make(dim=group.dim)
        for x in (torch.randn(2, 3, *shape), torch.randn(2, 3, group.order, *shape)):
            assert torch.equal(layer(x), same(x))


@over_kinds
def test_a_feature_map_on_another_group_is_refused(make):
    with pytest.raises(ValueError, match=r"P4\(\) acts on images .* 4, .* \(1, 2, 8, 8, 8\)"):
        make(group=groups.P4())(torch.zeros(1, 2, 8, 8, 8))


@over_kinds
def test_a_dimension_and_a_group_that_contradict_each_other_are_refused(make):
    with pytest.raises(ValueError, match=r"P4\(\) moves 2D space, got dim=3"):
        make(group=groups.P4(), dim=3)
    with pytest.raises(ValueError, match="dim must be 1, 2 or 3, got 4"):
        make(dim=4)
    with pytest.raises(TypeError, match=r"got the class P4; use P4\(\)"):
        make(group=groups.P4)


@over_layers
@pytest.mark.parametrize("shape", [(8, 8), (1, 8, 8), (1, 1, 1, 1, 8, 8)])
def test_too_few_or_too_many_axes_are_refused(layer, shape):
    with pytest.raises(ValueError, match=r"expected \(batch, channels, \*2 of space\) or"):
        layer(torch.zeros(shape))


@over_layers
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_dtype_and_channels_last_are_kept(layer, dtype):
    image = torch.randn(2, 3, 8, 8).to(dtype).contiguous(memory_format=torch.channels_last)
    y = layer(image)
    assert y.dtype == dtype and y.is_contiguous(memory_format=torch.channels_last)
    features = torch.randn(2, 12, 8, 8).to(dtype).contiguous(memory_format=torch.channels_last)
    y = layer(features.unflatten(1, (3, 4))).flatten(1, 2)
    assert y.is_contiguous(memory_format=torch.channels_last)


def test_an_unknown_mode_of_up_sampling_is_refused():
    with pytest.raises(ValueError, match=r"\('linear', 'nearest'\), got 'bicubic'"):
        SpatialUpsample(2, "bicubic")


@pytest.mark.parametrize("scale_factor", [0, 1.5, (2, 2)])
def test_up_sampling_takes_an_integer_factor(scale_factor):
    with pytest.raises(ValueError, match="scale_factor must be one integer ≥ 1"):
        SpatialUpsample(scale_factor)


def test_layers_print_what_they_were_built_with():
    assert repr(SpatialMaxPool(2)) == "SpatialMaxPool(2, stride=2, padding=0)"
    assert repr(SpatialAvgPool(2, dim=2)) == "SpatialAvgPool(2, stride=2, padding=0, dim=2)"
    assert repr(SpatialBlurPool(dim=3)) == "SpatialBlurPool(stride=2, dim=3)"
    upsample = SpatialUpsample(2, group=groups.P4())
    assert repr(upsample) == "SpatialUpsample(2, mode='linear', group=P4())"
