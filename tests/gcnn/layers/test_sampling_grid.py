"""What cannot be equivariant is refused, and what is accepted is."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from gcnn import groups, layers
from tests.gcnn.cases import equivariance_error

P4 = groups.P4()
WINDOWS = {
    "size": st.tuples(st.integers(1, 9), st.integers(1, 9)),
    "kernel_size": st.integers(1, 4),
    "stride": st.integers(1, 3),
    "padding": st.integers(0, 2),
    "dilation": st.integers(1, 2),
}


def refusal(layer, x):
    """Why the layer refuses its input, or None."""
    try:
        layer(x)
    except ValueError as reason:
        return str(reason)
    return None


@settings(max_examples=60)
@given(**WINDOWS)
def test_a_lifting_convolution_is_refused_or_exact(size, kernel_size, stride, padding, dilation):
    layer = layers.LiftingConv(P4, 1, 1, kernel_size, stride, padding, dilation).double()
    torch.nn.init.ones_(layer.bias)
    x = torch.randn(1, 1, *size, dtype=torch.float64)
    reason = refusal(layer, x)
    if reason is None:
        assert equivariance_error(layer, P4, x) < 1e-10
    else:
        assert "input of size" in reason


@settings(max_examples=60)
@given(**WINDOWS)
def test_what_is_refused_would_not_be_equivariant(size, kernel_size, stride, padding, dilation):
    assume(min(size) + 2 * padding > dilation * (kernel_size - 1))
    layer = layers.LiftingConv(P4, 1, 1, kernel_size, stride, padding, dilation)
    x = torch.randn(1, 1, *size)
    reason = refusal(layer, x)
    assume(reason is not None)
    filters = layer.filters().detach()

    def convolve(image):
        return F.conv2d(image, filters, stride=stride, padding=padding, dilation=dilation)

    assume(convolve(x).any())  # A window that only meets the padding sees nothing.
    error = 0.0
    for k in (1, 2, 3):
        expected = torch.rot90(convolve(x), k, (-2, -1)).roll(k, dims=1)
        turned = convolve(torch.rot90(x, k, (-2, -1)))
        error = max(error, float((turned - expected).abs().max()))
    assert error > 1e-4


@settings(max_examples=60)
@given(
    pool=st.sampled_from([layers.SpatialMaxPool, layers.SpatialAvgPool]),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel_size=st.integers(1, 4),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
)
def test_pooling_is_refused_or_exact(pool, size, kernel_size, stride, padding):
    assume(2 * padding <= kernel_size)
    layer = pool(kernel_size, stride, padding)
    x = torch.randn(1, 1, *size, dtype=torch.float64)
    reason = refusal(layer, x)
    if reason is None:
        assert equivariance_error(layer, P4, x) < 1e-10
    else:
        assert "input of size" in reason


def test_an_odd_kernel_with_stride_2_on_an_even_size_is_refused_with_sizes_that_fit():
    layer = layers.LiftingConv(P4, 1, 1, 3, stride=2, padding=1)
    message = (
        r"input of size \(8, 8\) leaves 1 pixel\(s\) over after windows of 3 at stride 2 with "
        r"padding 1, .* break equivariance; sizes like 7 or 9 fit"
    )
    with pytest.raises(ValueError, match=message):
        layer(torch.zeros(1, 1, 8, 8))
    layer(torch.zeros(1, 1, 7, 9))


def test_one_axis_that_does_not_fit_is_enough():
    with pytest.raises(ValueError, match=r"input of size \(8, 7\) leaves 1 pixel"):
        layers.SpatialMaxPool(2)(torch.zeros(1, 1, 8, 7))


@pytest.mark.parametrize("pool", [layers.SpatialMaxPool, layers.SpatialAvgPool])
def test_pooling_an_odd_size_by_2_is_refused(pool):
    with pytest.raises(ValueError, match=r"sizes like 6 or 8 fit"):
        pool(2, dim=2)(torch.zeros(1, 1, 4, 7, 7))


def test_blur_pooling_an_odd_size_is_refused():
    with pytest.raises(ValueError, match=r"input of size \(7, 8\) leaves 1 pixel"):
        layers.SpatialBlurPool()(torch.zeros(1, 1, 7, 8))


def test_a_window_larger_than_the_input_is_refused():
    layer = layers.GroupConv(P4, 1, 1, 5, padding=1)
    with pytest.raises(ValueError, match=r"size \(2, 9\) is smaller than the window: 2 \+ 2·1"):
        layer(torch.zeros(1, 1, 4, 2, 9))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": (3, 3)}, r"kernel_size must be one integer ≥ 1, .* got \(3, 3\)"),
        ({"kernel_size": 0}, "kernel_size must be one integer ≥ 1, .* got 0"),
        ({"stride": (2, 1)}, r"stride must be one integer ≥ 1, .* got \(2, 1\)"),
        ({"stride": 0}, "stride must be one integer ≥ 1"),
        ({"dilation": 1.0}, "dilation must be one integer ≥ 1, .* got 1.0"),
        ({"padding": -1}, "padding must be one integer ≥ 0, .* got -1"),
        ({"padding": (1, 1)}, r"padding must be one integer ≥ 0, .* got \(1, 1\)"),
        ({"padding": "full"}, 'padding must be an integer, "same" or "valid", got \'full\''),
        ({"padding": "same", "stride": 2}, 'padding="same" needs stride 1, got stride 2'),
        ({"padding": "same", "kernel_size": 4}, "kernel_size 4 .* use an odd kernel_size"),
        ({"padding_mode": "wrap"}, "padding_mode must be one of .* got 'wrap'"),
        ({"in_channels": 0}, "in_channels must be one integer ≥ 1"),
        ({"out_channels": -2}, "out_channels must be one integer ≥ 1"),
        ({"groups": 3}, "in_channels 2 is not divisible by groups=3"),
        ({"groups": 2, "out_channels": 3}, "out_channels 3 is not divisible by groups=2"),
        ({"groups": 0}, "groups must be one integer ≥ 1"),
        ({"stride": True}, "stride must be one integer ≥ 1, .* got True"),
    ],
    ids=str,
)
@pytest.mark.parametrize("layer", [layers.LiftingConv, layers.GroupConv])
def test_settings_that_cannot_be_equivariant_are_refused(layer, options, message):
    arguments = {"in_channels": 2, "out_channels": 2, "kernel_size": 3, **options}
    with pytest.raises(ValueError, match=message):
        layer(P4, **arguments)


def test_an_even_kernel_with_even_dilation_can_be_centred():
    layer = layers.LiftingConv(P4, 1, 1, 4, padding="same", dilation=2).double()
    x = torch.randn(1, 1, 7, 7, dtype=torch.float64)
    assert layer(x).shape == (1, 1, 4, 7, 7)
    assert equivariance_error(layer, P4, x) < 1e-10


@pytest.mark.parametrize("group", ["P4", None, groups.P4, 4])
def test_a_group_must_be_a_group(group):
    with pytest.raises(TypeError, match=r"group must be a gcnn\.groups\.Group, got"):
        layers.LiftingConv(group, 1, 1, 3)


@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (1, 2, 4, 8, 8), (2, 8, 8)])
def test_lifting_refuses_what_is_not_its_image(shape):
    with pytest.raises(ValueError, match=r"LiftingConv takes an image \(batch, 2, \*2 of space\)"):
        layers.LiftingConv(P4, 2, 1, 3)(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(1, 2, 8, 8), (1, 3, 4, 8, 8), (1, 2, 8, 8, 8), (8, 8)])
def test_group_convolution_refuses_what_is_not_its_feature_map(shape):
    message = r"GroupConv takes a feature map \(batch, 2, 4, .* images are lifted first"
    with pytest.raises(ValueError, match=message):
        layers.GroupConv(P4, 2, 1, 3)(torch.zeros(shape))
