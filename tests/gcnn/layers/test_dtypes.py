"""Any dtype, autocast and memory format; exact again after going through a coarser one."""

import pytest
import torch

from gcnn import groups, layers
from tests.gcnn.cases import SCALES, equivariance_error
from tests.gcnn.layers.networks import CLOSED, GROUPS, convolutions, image, network

over_groups = pytest.mark.parametrize("group", GROUPS, ids=repr)


@pytest.mark.parametrize("group", CLOSED, ids=repr)
@pytest.mark.parametrize("coarse", [torch.float32, torch.bfloat16, torch.float16])
def test_float64_is_exact_after_a_coarser_dtype(group, coarse):
    model = network(group).to(coarse).double()
    assert equivariance_error(model.eval(), group, image(group, dtype=torch.float64)) < 1e-10


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("group", [groups.SteerableSE2(8), *SCALES], ids=repr)
def test_nothing_of_the_basis_is_lost_on_the_way_through_a_coarser_dtype(group, training):
    layer = layers.GroupConv(group, 2, 3, 5).train(training)
    weight = layer.weight.detach().double()
    other = layers.GroupConv(group, 2, 3, 5, dtype=torch.float64)
    other.load_state_dict({"weight": weight, "bias": layer.bias.detach()})
    torch.testing.assert_close(layer.double().filters(), other.filters(), atol=1e-15, rtol=1e-14)


@pytest.mark.parametrize("group", [groups.SteerableSE2(8), *SCALES], ids=repr)
def test_filters_in_half_precision_are_rounded_once(group):
    layer = layers.GroupConv(group, 2, 3, 5).bfloat16()
    exact = layers.GroupConv(group, 2, 3, 5, dtype=torch.float64)
    exact.load_state_dict(layer.state_dict())
    expected = exact.filters().detach()
    error = (layer.filters().detach().double() - expected).abs()
    assert (error <= 2**-8 * expected.abs() + 1e-6).all()


@over_groups
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_half_and_close(group, dtype):
    model, x = network(group).eval(), image(group)
    with torch.no_grad():
        expected = model(x)
        found = model.to(dtype)(x.to(dtype))
    assert found.dtype == dtype
    tolerance = 0.05 if dtype == torch.bfloat16 else 0.01
    assert (found.float() - expected).norm() < tolerance * expected.norm()


@over_groups
def test_training_in_bfloat16_gives_gradients_of_that_dtype(group):
    model = network(group).bfloat16()
    model(image(group, dtype=torch.bfloat16)).sum().backward()
    for parameter in model.parameters():
        assert parameter.grad.dtype == torch.bfloat16 and parameter.grad.isfinite().all()


@pytest.mark.parametrize("training", [True, False])
@over_groups
def test_autocast_computes_in_bfloat16_with_filters_from_full_precision(group, training):
    model, x = network(group).train(training), image(group)
    with torch.no_grad():
        expected = model(x)
        with torch.autocast("cpu", torch.bfloat16):
            found = model(x)
            filters = model[3].filters()
        assert filters.dtype == torch.float32
        torch.testing.assert_close(filters, model[3].filters())
    assert found.dtype == torch.bfloat16
    assert (found.float() - expected).norm() < 0.05 * expected.norm()


@pytest.mark.parametrize("group", [groups.SteerableSE2(8), *SCALES], ids=repr)
def test_autocast_gives_gradients_in_float32(group):
    model, x = network(group), image(group)
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(x).float().square().mean()
    loss.backward()
    for parameter in model.parameters():
        assert parameter.grad.dtype == torch.float32 and parameter.grad.isfinite().all()


@pytest.mark.parametrize("training", [True, False])
def test_models_of_different_dtypes_leave_each_other_alone(training):
    group = groups.SteerableSE2(8)
    dtypes = (torch.float32, torch.float64, torch.bfloat16)
    models = [network(group).to(dtype).train(training) for dtype in dtypes]
    expected = [model(image(group, dtype=d)) for model, d in zip(models, dtypes, strict=True)]
    for model, dtype, before in zip(models, dtypes, expected, strict=True):
        network(group).double()(image(group, dtype=torch.float64))
        after = model(image(group, dtype=dtype))
        assert after.dtype == dtype
        assert torch.equal(after, before)
    assert group.basis.sample(group.matrices, 3).dtype == torch.float64


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_layers_are_built_in_the_dtype_asked_for(dtype):
    for layer_type in (layers.LiftingConv, layers.GroupConv):
        layer = layer_type(groups.SteerableSE2(8), 2, 3, 3, dtype=dtype)
        assert layer.weight.dtype == layer.bias.dtype == layer.filters().dtype == dtype


def test_the_default_dtype_is_respected():
    torch.set_default_dtype(torch.float64)
    try:
        layer = layers.LiftingConv(groups.SteerableSE2(8), 2, 3, 3, padding=1)
        x = torch.randn(1, 2, 6, 6)
        assert layer(x).dtype == torch.float64
        assert equivariance_error(layer, layer.group, x) < 1e-10
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("training", [True, False])
@over_groups
def test_channels_last_is_kept_from_layer_to_layer_with_the_same_numbers(group, training):
    memory_format = torch.channels_last if group.dim == 2 else torch.channels_last_3d
    model, x = network(group).train(training), image(group)
    last = x.contiguous(memory_format=memory_format)
    expected = model(x)
    for layer in network(group).train(training):
        last = layer(last)
        plain = last.flatten(1, 2) if last.ndim == group.dim + 3 else last
        assert plain.is_contiguous(memory_format=memory_format), type(layer).__name__
    torch.testing.assert_close(last, expected, atol=1e-5, rtol=1e-5)


@over_groups
def test_inputs_need_not_be_contiguous(group):
    for layer, x in convolutions(group):
        strided = torch.stack([x, x], dim=-1)[..., 0]
        turned = x.transpose(-1, -2)
        assert not strided.is_contiguous()
        torch.testing.assert_close(layer(strided), layer(x))
        torch.testing.assert_close(layer(turned), layer(turned.contiguous()))
        wide = x.expand(3, *x.shape[1:])
        torch.testing.assert_close(layer(wide)[2], layer(x)[0])


@over_groups
def test_an_empty_batch_stays_empty(group):
    model = network(group).eval()
    assert model(image(group, batch=0)).shape == (0, 3, *(5,) * group.dim)
    for layer, x in convolutions(group):
        assert layer(x[:0]).shape[0] == 0
