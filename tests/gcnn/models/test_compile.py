"""Whole U-Nets through torch.compile and torch.export."""

import copy
import shutil

import pytest
import torch
from torch import nn

from gcnn import groups, layers
from gcnn.models import UNet

compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("g++", "clang++", "c++"))), reason="no C++ compiler for inductor"
)
ALL_ELSE = {"downsampling": "blur", "norm": "instance", "anti_aliased": True, "pool": "mean"}
CONVOLVING = {"block": "residual", "downsampling": "strided", "upsampling": "transposed"}
SCALES = groups.ScaleTranslation([1.0, 0.9], dim=2)


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def network(group, **options):
    torch.manual_seed(0)
    return UNet(1, 1, group, (2, 3), **options)


@pytest.fixture
def x():
    return torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def same_in_train_and_eval_mode(group, x, backend, **options):
    model, twin = network(group, **options), network(group, **options)
    compiled = torch.compile(model, fullgraph=True, backend=backend)
    same_step(compiled, twin, x)
    same_gradients(model, twin)
    model.eval(), twin.eval()
    with torch.no_grad():
        torch.testing.assert_close(compiled(x), twin(x), atol=1e-5, rtol=1e-4)
        for net in (model, twin):
            net.head.weight.mul_(2)
            first = next(module for module in net.modules() if isinstance(module, layers.GroupConv))
            first.weight.data.mul_(0.5)
        torch.testing.assert_close(compiled(x), twin(x), atol=1e-5, rtol=1e-4)


@compiler
@pytest.mark.slow
def test_inductor_gives_the_same_output_and_gradients(x):
    same_in_train_and_eval_mode(groups.SteerableSE2(4), x, "inductor")


@compiler
@pytest.mark.slow
def test_inductor_takes_any_batch_and_size_of_a_frozen_network():
    model = network(groups.P4()).eval()
    compiled = torch.compile(layers.freeze(model), fullgraph=True, dynamic=True)
    with torch.no_grad():
        for shape in ((2, 1, 8, 8), (3, 1, 8, 8), (5, 1, 12, 16)):
            image = torch.randn(shape)
            torch.testing.assert_close(compiled(image), model(image), atol=1e-5, rtol=1e-4)


@compiler
@pytest.mark.slow
def test_inductor_trains_with_any_batch():
    model, twin = network(groups.P4()), network(groups.P4())
    compiled = torch.compile(model, fullgraph=True)
    for batch in (2, 3, 5):
        image = torch.randn(batch, 1, 8, 8)
        torch._dynamo.mark_dynamic(image, 0)
        same_step(compiled, twin, image)
    same_gradients(model, twin)


@compiler
@pytest.mark.slow
def test_inductor_trains_with_any_size_without_its_optimisation_of_layouts():
    group = groups.P4()
    model = nn.Sequential(layers.LiftingConv(group, 1, 2, 3), nn.ReLU(), layers.GroupPool(group))
    twin = copy.deepcopy(model)
    compiled = torch.compile(model, fullgraph=True, dynamic=True)
    with torch._inductor.config.patch(layout_optimization=False):
        for shape in ((2, 1, 8, 8), (3, 1, 12, 16)):
            same_step(compiled, twin, torch.randn(shape))
    same_gradients(model, twin)


def same_step(model, twin, image):
    found, expected = model(image), twin(image)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    found.square().sum().backward()
    expected.square().sum().backward()


def same_gradients(model, twin):
    for one, other in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-4, rtol=1e-3)


@pytest.mark.slow
def test_the_whole_graph_is_captured_with_every_other_option(x):
    same_in_train_and_eval_mode(groups.P4(), x, "aot_eager", **ALL_ELSE)


@pytest.mark.slow
@pytest.mark.parametrize("group", [groups.P4(), SCALES], ids=repr)
def test_the_whole_graph_is_captured_with_convolutions_between_the_levels(group, x):
    same_in_train_and_eval_mode(group, x, "aot_eager", norm="instance", **CONVOLVING)


@pytest.mark.slow
def test_other_sizes_and_batches_need_no_other_graph():
    model = UNet(1, 1, groups.P4(), (2, 3)).eval()
    graphs = []

    def backend(graph, _):
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(model, fullgraph=True, backend=backend, dynamic=True)
    with torch.no_grad():
        for shape in ((2, 1, 8, 12), (3, 1, 12, 16), (5, 1, 20, 14)):
            image = torch.randn(shape)
            torch.testing.assert_close(compiled(image), model(image), atol=1e-5, rtol=1e-4)
    assert len(graphs) == 1


@pytest.mark.parametrize(
    ("group", "options"),
    [
        (groups.P4(), ALL_ELSE),
        (groups.P4(), CONVOLVING),
        (groups.SteerableSE2(8), {}),
        (SCALES, CONVOLVING),
    ],
    ids=["P4()-all-else", "P4()-convolving", "SteerableSE2(8)", "ScaleTranslation-convolving"],
)
def test_export_gives_the_same_output(group, options, x):
    model = network(group, **options).eval()
    exported = torch.export.export(model, (x,))
    with torch.no_grad():
        torch.testing.assert_close(exported.module()(x), model(x), atol=1e-5, rtol=1e-4)


def test_export_with_any_batch(x):
    model = network(groups.P4()).eval()
    batch = torch.export.Dim("batch", min=1, max=16)
    exported = torch.export.export(model, (x,), dynamic_shapes=({0: batch},)).module()
    image = torch.randn(5, 1, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(exported(image), model(image), atol=1e-5, rtol=1e-4)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")
def test_a_traced_network_computes_the_same(x):
    model = network(groups.P4()).eval().requires_grad_(False)
    traced = torch.jit.trace(model, (x,))
    torch.testing.assert_close(traced(2 * x), model(2 * x), atol=1e-5, rtol=1e-4)


def test_autocast_compiles(x):
    model = network(groups.P4()).eval()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found, expected = compiled(x), model(x)
    assert found.dtype == expected.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), expected.float(), atol=0.05, rtol=0.05)
