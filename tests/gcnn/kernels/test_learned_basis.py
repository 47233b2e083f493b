"""A basis with parameters of its own: filters follow them, in every mode."""

import copy
import pickle

import pytest
import torch
from torch import nn

from gcnn import filters, groups, layers
from gcnn.geometry import grid_points
from tests.gcnn.cases import equivariance_error


class LearnedRings(nn.Module, filters.Basis):
    """Gaussian rings whose radii are learned: round functions, which serve any rotation."""

    def __init__(self, count=3):
        super().__init__()
        self.radii = nn.Parameter(torch.linspace(0, 2, count, dtype=torch.float64))
        self.register_buffer("width", torch.tensor(0.7, dtype=torch.float64))

    def move(self, matrices, kernel_size):
        radius = grid_points((kernel_size,) * 2).norm(dim=-1)
        rings = torch.exp(-(((radius - self.radii[:, None, None]) / self.width) ** 2))
        return rings[:, None].expand(-1, len(matrices), -1, -1)


KINDS = {
    "lifting": (layers.LiftingConv, 2),
    "group, at once": (layers.GroupConv, 2),
    "group, gathered": (layers.GroupConv, 12),
    "transposed": (layers.GroupConvTranspose, 2),
}


def build(kind):
    layer_type, rotations = KINDS[kind]
    group = groups.SE2(4 * rotations // 2, basis=LearnedRings())
    torch.manual_seed(0)
    layer = layer_type(group, 2, 3, 5).double()
    shape = (1, 2, 9, 9) if layer_type is layers.LiftingConv else (1, 2, group.order, 9, 9)
    return layer, torch.randn(shape, dtype=torch.float64)


over_kinds = pytest.mark.parametrize("kind", KINDS)


@over_kinds
def test_a_learned_basis_leaves_no_stale_filters_in_eval_mode(kind):
    layer, x = build(kind)
    layer.eval()
    with torch.no_grad():
        before = layer(x)
        assert torch.equal(layer(x), before)
        assert layer.filters() is layer.filters()
        for change in (layer.basis.radii, layer.basis.width):
            change.data.mul_(1.1)
            after = layer(x)
            assert not torch.allclose(after, before)
            assert torch.equal(copy.deepcopy(layer).train()(x), after)
            before = after


@over_kinds
def test_its_parameters_get_gradients_and_are_trained(kind):
    layer, x = build(kind)
    optimiser = torch.optim.SGD(layer.parameters(), lr=1e-3)
    before = layer.basis.radii.detach().clone()
    for mode in (True, False):
        optimiser.zero_grad()
        loss = layer.train(mode)(x).square().mean()
        loss.backward()
        assert layer.basis.radii.grad.any()
    optimiser.step()
    assert not torch.equal(layer.basis.radii, before)
    assert layer(x).square().mean() < loss


@over_kinds
def test_its_gradient_is_that_of_finite_differences(kind):
    layer, x = build(kind)
    (gradient,) = torch.autograd.grad(layer(x).sum(), layer.basis.radii)
    with torch.no_grad():
        step, differences = 1e-6, []
        for k in range(len(gradient)):
            values = []
            for sign in (1, -1):
                layer.basis.radii[k] += sign * step
                values.append(layer(x).sum())
                layer.basis.radii[k] -= sign * step
            differences.append((values[0] - values[1]) / (2 * step))
    torch.testing.assert_close(gradient, torch.stack(differences), rtol=1e-5, atol=1e-6)


@over_kinds
def test_it_travels_with_the_state_and_with_copies(kind):
    layer, x = build(kind)
    layer.basis.radii.data += 0.3
    assert "basis.radii" in layer.state_dict()
    other, _ = build(kind)
    assert not torch.allclose(other(x), layer(x))
    other.load_state_dict(layer.state_dict())
    for twin in (other, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(twin(x), layer(x))
        twin.basis.radii.data += 1
        assert not torch.allclose(twin(x), layer(x))


def test_a_layer_with_it_is_equivariant_whatever_was_learned():
    layer, x = build("group, at once")
    layer.basis.radii.data += 0.3
    assert equivariance_error(layer, layer.group, x) < 1e-10
