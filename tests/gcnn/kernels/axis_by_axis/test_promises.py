"""State, copies, dtypes, compilers and function transforms of layers that go axis by axis."""

import copy
import io
import math
import pickle

import pytest
import torch
from torch import nn

from gcnn import groups, layers
from gcnn.kernels.axis_by_axis import functions
from gcnn.kernels.axis_by_axis.choice import Problem
from gcnn.layers.convolution import Convolution
from tests.gcnn.kernels.axis_by_axis.forced import by_axes, dense_filters

LAYERS = (layers.LiftingConv, layers.GroupConv, layers.GroupConvTranspose)
over_layers = pytest.mark.parametrize("layer_type", LAYERS, ids=lambda kind: kind.__name__)
GROUP = groups.ScaleTranslation([1.0, 0.8, 0.64], interaction=2, scale_padding="valid")
CLOSE = {"atol": 1e-5, "rtol": 1e-5}


@pytest.fixture(autouse=True)
def axis_by_axis(monkeypatch):
    """Layers that may go axis by axis do so."""
    monkeypatch.setattr(Problem, "dense", lambda *_: math.inf)


@pytest.fixture
def products_taken(monkeypatch):
    """The products along axes that were computed."""
    taken = []
    original = functions.partials

    def partials(*given):
        names = ("transpose", "correlate", "mixing_gradient")
        taken.extend(name for name, want in zip(names, given[-1], strict=True) if want)
        return original(*given)

    monkeypatch.setattr(functions, "partials", partials)
    return taken


def build(layer_type, seed=0):
    torch.manual_seed(seed)
    layer = layer_type(GROUP, 2, 3, 5, padding=2)
    nn.init.normal_(layer.bias)
    before = {layers.LiftingConv: (), layers.GroupConv: (3,)}.get(layer_type, (2,))
    return layer, torch.randn(2, 2, *before, 6, 7)


def dense(layer, x):
    with dense_filters():
        return layer(x)


def through_a_file(thing):
    file = io.BytesIO()
    torch.save(thing, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer)), through_a_file],
    ids=["deepcopy", "pickle", "torch.save"],
)
@over_layers
def test_a_copy_computes_the_same_and_carries_no_plan(layer_type, duplicate, training):
    layer, x = build(layer_type)
    fresh = len(pickle.dumps(layer))
    expected = layer.train(training)(x)
    assert layer._axes._plans
    other = duplicate(layer)
    assert not other._axes._plans and abs(len(pickle.dumps(layer)) - fresh) < 200
    assert torch.equal(other(x), expected)
    nn.init.zeros_(other.weight)
    assert torch.equal(layer(x), expected)


@over_layers
def test_weights_changed_in_eval_mode_are_used(layer_type):
    layer, x = build(layer_type)
    with torch.no_grad():
        before = layer.eval()(x)
        layer.weight.data.mul_(2), layer.bias.data.mul_(2)
        torch.testing.assert_close(layer(x), 2 * before)
        other, _ = build(layer_type, seed=1)
        layer.load_state_dict(other.state_dict())
        assert torch.equal(layer(x), other(x))


@over_layers
def test_a_layer_follows_to_another_dtype_and_back_without_loss(layer_type, products_taken):
    layer, x = build(layer_type)
    layer(x)
    exact = dense(copy.deepcopy(layer).double(), x.double())
    found = layer.bfloat16().float().double()
    other = copy.deepcopy(found)
    taken = len(products_taken)
    torch.testing.assert_close(found(x.double()), dense(other, x.double()), atol=1e-12, rtol=0)
    assert len(products_taken) > taken
    assert found(x.double()).dtype == exact.dtype == torch.float64


@over_layers
def test_gradients_follow_a_pass_in_inference_mode(layer_type):
    layer, x = build(layer_type)
    with torch.inference_mode():
        expected = layer.eval()(x)
    found = layer(x.requires_grad_())
    torch.testing.assert_close(found, expected.clone())
    found.sum().backward()
    assert x.grad.any() and layer.weight.grad.any()


@over_layers
def test_an_empty_batch_stays_empty(layer_type):
    layer, x = build(layer_type)
    y = layer(x[:0].requires_grad_())
    assert y.shape == (0, *layer(x).shape[1:])
    y.sum().backward()
    assert not layer.weight.grad.any()


@over_layers
def test_inputs_need_not_be_contiguous(layer_type):
    layer, x = build(layer_type)
    strided = torch.stack([x, x], dim=-1)[..., 0]
    torch.testing.assert_close(layer(strided), layer(x))
    torch.testing.assert_close(layer(x.mT), layer(x.mT.contiguous()))
    torch.testing.assert_close(layer(x[:1].expand(3, *x.shape[1:]))[2], layer(x)[0])


@over_layers
def test_channels_last_is_kept_with_the_same_numbers(layer_type):
    layer, x = build(layer_type)
    plain = x.flatten(1, -3).contiguous(memory_format=torch.channels_last)
    with by_axes():
        found = layer(plain.view(x.shape) if x.ndim == 4 else plain.unflatten(1, x.shape[1:3]))
        torch.testing.assert_close(found, layer(x), **CLOSE)
    assert found.flatten(1, 2).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@over_layers
def test_autocast_rounds_nothing_but_the_features(layer_type, dtype, products_taken):
    """The output is the one of float32 rounded once, and the gradients are in full precision."""
    layer, x = build(layer_type)
    layer.bias = None
    exact = layer(x.requires_grad_())
    seed = torch.randn_like(exact).to(dtype)
    with torch.autocast("cpu", dtype):
        found = layer(x)
    assert found.dtype == dtype and products_taken[0] == products_taken[1]
    torch.testing.assert_close(found, exact.to(dtype), atol=0, rtol=0)
    inputs = (x, layer.weight)
    slopes = torch.autograd.grad(found, inputs, seed)
    for one, other in zip(slopes, torch.autograd.grad(exact, inputs, seed.float()), strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@over_layers
def test_half_precision_is_computed_in_float32_and_rounded_once(layer_type, dtype, products_taken):
    layer, x = build(layer_type)
    layer.bias = None
    half, x = copy.deepcopy(layer).to(dtype), x.to(dtype)
    expected = half.float()(x.float()).to(dtype)
    found = half.to(dtype)(x.requires_grad_())
    assert found.dtype == dtype and products_taken[0] == products_taken[1]
    torch.testing.assert_close(found, expected, atol=0, rtol=0)
    found.sum().backward()
    assert x.grad.dtype == half.weight.grad.dtype == dtype


@over_layers
def test_autocast_leaves_float64_alone(layer_type):
    layer, x = build(layer_type)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer.double()(x.double()).dtype == torch.float64


@over_layers
def test_the_whole_layer_compiles_with_dense_filters(layer_type, products_taken):
    layer, x = build(layer_type)
    torch.compiler.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    found = compiled(x)
    assert not products_taken
    torch.testing.assert_close(found, layer(x), **CLOSE)
    assert products_taken == ["transpose" if layer_type is LAYERS[2] else "correlate"]
    torch.compiler.reset()


@over_layers
def test_export_takes_dense_filters(layer_type):
    layer, x = build(layer_type)
    exported = torch.export.export(layer.eval(), (x,)).module()
    torch.testing.assert_close(exported(x), layer(x), **CLOSE)


@over_layers
def test_function_transforms_take_dense_filters(layer_type, products_taken):
    layer, x = build(layer_type)
    layer.requires_grad_(False)
    mapped = torch.func.vmap(layer)(torch.stack([x, 2 * x]))
    value, tangent = torch.func.jvp(layer, (x,), (x,))
    slope = torch.func.grad(lambda image: layer(image).sum())(x)
    assert not products_taken
    expected = layer(x)
    torch.testing.assert_close(mapped[0], expected, **CLOSE)
    torch.testing.assert_close(value, expected, **CLOSE)
    torch.testing.assert_close(tangent, expected - layer(0 * x), **CLOSE)
    layer(x.requires_grad_()).sum().backward()
    torch.testing.assert_close(slope, x.grad, **CLOSE)


@over_layers
def test_forward_mode_takes_dense_filters(layer_type):
    layer, x = build(layer_type)
    with torch.autograd.forward_ad.dual_level(), torch.no_grad():
        dual = torch.autograd.forward_ad.make_dual(x, x)
        tangent = torch.autograd.forward_ad.unpack_dual(layer(dual)).tangent
    torch.testing.assert_close(tangent, layer(x) - layer(0 * x), **CLOSE)


@over_layers
def test_a_layer_on_the_meta_device_says_the_shape_of_its_output(layer_type):
    layer, x = build(layer_type)
    expected = layer(x).shape
    y = layer.to("meta")(x.to("meta"))
    assert y.is_meta and y.shape == expected


def test_no_filter_is_built_on_the_way():
    layer, x = build(layers.GroupConv)
    original, built = Convolution.filters, []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Convolution, "filters", lambda self: built.append(1) or original(self))
        layer(x).sum().backward()
    assert not built and layer.weight.grad.any()
