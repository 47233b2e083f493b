"""What axis 2 holds: laws of the fields, and layers on a field that is not sampled."""

import itertools
import math

import pytest
import torch
from torch import nn

from gcnn import fields, filters, groups, layers, models
from gcnn.equivariance import check_group
from gcnn.geometry import grid_points, rotation
from gcnn.kernels import equivariant_filters
from tests.gcnn.cases import CLOSED, SCALES, Blobs, cube, equivariance_error, relative_error


class BandLimited(fields.Field):
    """Functions on SO(2) up to a frequency, as coefficients of 1, √2 cos nθ, √2 sin nθ."""

    def __init__(self, degree):
        self.degree = degree
        self.size = 2 * degree + 1

    def action(self, matrix):
        angle = math.atan2(matrix[1, 0], matrix[0, 0])
        blocks = [torch.ones(1, 1, dtype=torch.float64)]
        blocks += [rotation(math.degrees(n * angle)) for n in range(1, self.degree + 1)]
        return torch.block_diag(*blocks)

    @property
    def invariant(self):
        return torch.eye(self.size, dtype=torch.float64)[0]

    def evaluate(self, features):
        count = 4 * self.degree + 4
        angles = torch.arange(count, dtype=torch.float64) * (2 * math.pi / count)
        rows = [torch.ones_like(angles)]
        for n in range(1, self.degree + 1):
            rows += [math.sqrt(2) * (n * angles).cos(), math.sqrt(2) * (n * angles).sin()]
        samples = torch.stack(rows, dim=1).to(features)
        return torch.einsum("sn,bcn...->bcs...", samples, features)

    def __eq__(self, other):
        return isinstance(other, BandLimited) and self.degree == other.degree

    def __hash__(self):
        return hash(self.degree)


DEGREE, RINGS = 2, filters.CircularHarmonics()
# Frequencies of two fields and of a function sum up to 2 + 2 + 3 < 8.
TURNS = torch.stack([rotation(45 * k) for k in range(8)])


def continuous():
    """SO(2) with band-limited fields; the elements are its quadrature."""
    return groups.Group(TURNS, RINGS, "SO2()", field=BandLimited(DEGREE))


@pytest.mark.parametrize("group", [*CLOSED, *SCALES, cube(), continuous()], ids=repr)
def test_actions_are_orthogonal_and_multiply_as_the_elements_do(group):
    action = [group.field.action(matrix) for matrix in group.matrices]
    identity = torch.eye(group.field.size, dtype=torch.float64)
    torch.testing.assert_close(group.field.action(torch.eye(group.dim).double()), identity)
    for g, h in itertools.product(range(min(group.order, 9)), repeat=2):
        if group.is_closed:
            torch.testing.assert_close(action[g] @ action[g].T, identity)
            torch.testing.assert_close(action[g] @ action[h], action[group.product[g, h]])
    for matrix in action:
        invariant = matrix @ group.field.invariant
        assert not group.is_closed or torch.allclose(invariant, group.field.invariant)


@pytest.mark.parametrize("group", [*CLOSED, *SCALES, continuous()], ids=repr)
def test_features_are_mixed_by_the_action(group):
    field, space = group.field, (4,) * group.dim
    x = torch.randn(2, 3, field.size, *space, dtype=torch.float64)
    for matrix in group.matrices[:5]:
        expected = torch.einsum("ab,ncb...->nca...", field.action(matrix), x)
        torch.testing.assert_close(field.move(x, matrix), expected)


@pytest.mark.parametrize("group", [*CLOSED[:4], SCALES[0], continuous()], ids=repr)
def test_constants_lie_along_what_no_element_moves(group):
    values = torch.tensor([1.0, -2.0], dtype=torch.float64)
    expected = values[:, None] * group.field.invariant
    torch.testing.assert_close(group.field.constant(values), expected)


def test_samples_know_where_they_come_from_and_which_come_from_outside():
    window = groups.ScaleTranslation([4.0, 2.0, 1.0])
    halving = window.matrices[2] / 2
    assert window.field.origins(halving).tolist() == [-1, 0, 1]
    assert window.field.inside(halving @ halving).tolist() == [False, False, True]
    quarters = groups.P4()
    assert quarters.field.origins(quarters.matrices[1]).tolist() == [3, 0, 1, 2]
    assert continuous().field.inside(rotation(33)).tolist() == [True] * 5


def test_a_trivial_field_is_left_alone():
    assert torch.equal(fields.Trivial().action(rotation(33)), torch.ones(1, 1).double())
    assert fields.Trivial() == fields.Trivial() and fields.Trivial().size == 1


def test_one_formula_gives_every_kernel_at_angles_outside_the_quadrature():
    field = BandLimited(DEGREE)
    sampled = RINGS.sample(TURNS, 5)
    for source in (field, fields.Trivial()):
        kernels = equivariant_filters(source, field, TURNS, sampled)
        flat = kernels.flatten(1)
        identity = torch.eye(len(kernels), dtype=torch.float64)
        torch.testing.assert_close(flat @ flat.T, identity, atol=1e-12, rtol=0)
        still = sampled[:, 0].flatten(1)
        coordinates = torch.linalg.lstsq(still.T, kernels.flatten(3).flatten(0, 2).T).solution
        for angle in (17.3, 101.0, 233.7):
            turn = rotation(angle)
            turned = RINGS.sample(turn[None], 5)[:, 0].flatten(1)
            found = (coordinates.T @ turned).view_as(kernels)
            # f(R⁻¹y) = ρ_out(R)⁻¹ f(y) ρ_in(R), and fields are orthogonal.
            expected = torch.einsum(
                "ca,pcdxy,db->pabxy", field.action(turn), kernels, source.action(turn)
            )
            assert (found - expected).abs().max() <= 1e-12


def test_the_formula_finds_as_many_kernels_as_there_are():
    """Frequencies m and n of the fields are coupled by functions of frequency |m - n| and m + n."""
    functions = {0: 3, 1: 2, 2: 2}  # The centre and two rings; two rings.
    expected = 0
    for m, n in itertools.product(range(DEGREE + 1), repeat=2):
        for frequency in {abs(m - n), m + n}:
            # Each complex function gives two real ones, and so does what commutes with a turn.
            expected += functions.get(frequency, 0) * (2 if m or n else 1)
    kernels = equivariant_filters(BandLimited(2), BandLimited(2), TURNS, RINGS.sample(TURNS, 5))
    assert len(kernels) == expected == 43


@pytest.mark.parametrize(
    "group", [groups.P4(), groups.SteerableSE2(8), groups.Dihedral(3)], ids=repr
)
def test_on_regular_fields_it_spans_the_filters_of_the_group_convolution(group):
    sampled = group.basis.sample(group.matrices, 3)
    kernels = equivariant_filters(group.field, group.field, group.matrices, sampled).flatten(1)
    layer = layers.GroupConv(group, 5, 6, 3).double()
    filters_ = layer.filters().detach().view(6, group.order, 5, group.order, 3, 3)
    filters_ = filters_.transpose(1, 2).reshape(30, -1)
    torch.testing.assert_close(filters_ @ kernels.T @ kernels, filters_, atol=1e-10, rtol=0)
    assert len(kernels) == layer.weight[0, 0].numel()


def network(group, mode="mean", norm=layers.GroupBatchNorm):
    torch.manual_seed(0)
    built = nn.Sequential(
        layers.LiftingConv(group, 1, 4, 5, padding="same"),
        norm(group, 4),
        layers.GroupConv(group, 4, 5, 5, padding="same"),
        layers.GroupConvTranspose(group, 5, 4, 4, stride=2, padding=1),
        layers.GroupPool(group, mode),
    ).double()
    for name, parameter in built.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter)
    built(torch.randn(4, 1, 9, 9, dtype=torch.float64))
    return built.eval()


@pytest.mark.parametrize("norm", [layers.GroupBatchNorm, layers.GroupInstanceNorm])
@pytest.mark.parametrize("mode", ["mean", "max"])
def test_layers_work_on_a_field_that_is_not_sampled(mode, norm):
    group = continuous()
    built = network(group, mode, norm)
    assert built[2].weight.shape == (5, 4, 43) and built[0].weight.shape[:2] == (4, 1)
    image = torch.randn(2, 1, 9, 9, dtype=torch.float64)
    turned = torch.rot90(image, 1, (-2, -1))
    assert relative_error(torch.rot90(built(image), 1, (-2, -1)), built(turned)) < 1e-10


def test_they_turn_at_every_angle():
    built, group, blobs = network(continuous())[:3], continuous(), Blobs(images=1)
    still, disc = built(blobs.image()), blobs.disc()
    for degrees in (17.0, 45.0, 90.0):
        turned = built(blobs.image(degrees))
        expected = group.field.move(still, rotation(degrees))
        expected = groups.Group([rotation(degrees)]).act(expected.flatten(1, 2), 0)
        assert relative_error(turned.flatten(1, 2) * disc, expected * disc) < 0.02


def test_its_action_on_feature_maps_mixes_and_moves():
    group, x = continuous(), torch.randn(1, 2, 5, 4, 4, dtype=torch.float64)
    moved = group.act(x, 2)
    expected = torch.einsum("ab,ncbxy->ncaxy", group.field.action(rotation(90)), x)
    torch.testing.assert_close(moved, torch.rot90(expected, 1, (-2, -1)))
    with pytest.raises(ValueError, match=r"\(batch, channels, 5, \*2 of space\)"):
        group.act(torch.zeros(1, 2, 8, 4, 4), 0)


def test_a_state_of_such_a_network_is_refused_by_another():
    with pytest.raises(RuntimeError, match=r"SO2\(\).*SteerableSE2\(8\)|size mismatch"):
        network(groups.SteerableSE2(8)).load_state_dict(network(continuous()).state_dict())


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", [layers.GroupBatchNorm, layers.GroupInstanceNorm])
def test_norms_of_any_field_are_those_of_samples_where_it_is_sampled(kind, training):
    """The formula for any field, on samples that hide that they are samples."""

    class Hidden(fields.Field):
        size = 4

        invariant = torch.ones(4, dtype=torch.float64)

        def action(self, matrix):
            return groups.P4().field.action(matrix)

        def evaluate(self, features):
            return features

    torch.manual_seed(0)
    hidden = groups.Group(groups.P4().matrices, field=Hidden())
    own, other = kind(groups.P4(), 3, affine=True).double(), kind(hidden, 3, affine=True).double()
    nn.init.normal_(own.weight), nn.init.normal_(own.bias)
    other.load_state_dict(own.state_dict())
    x = 1 + torch.randn(5, 3, 4, 6, 7, dtype=torch.float64)
    for step in (own, other):
        step(x + 1)
        step.train(training)
    torch.testing.assert_close(other(x), own(x))
    for one, two in zip(own.buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(one, two)


class LearnedWidth(nn.Module, filters.Basis):
    """Two Gaussians of a learned width."""

    def __init__(self):
        super().__init__()
        self.width = nn.Parameter(torch.tensor(1.0, dtype=torch.float64))

    def move(self, matrices, kernel_size):
        squared = grid_points((kernel_size,) * 2).square().sum(-1)
        functions = [torch.exp(-squared / (k * self.width**2)) for k in (1, 3)]
        return torch.stack(functions)[:, None].expand(-1, len(matrices), -1, -1)


def test_a_learned_basis_gets_finite_gradients_on_any_field():
    group = groups.Group(TURNS, LearnedWidth(), "SO2()", field=BandLimited(DEGREE))
    layer = layers.GroupConv(group, 2, 2, 5, padding=2).double()
    x = torch.randn(1, 2, 5, 7, 7, dtype=torch.float64)
    (found,) = torch.autograd.grad(layer(x).square().sum(), layer.basis.width)
    with torch.no_grad():
        values = []
        for step in (1e-6, -2e-6):
            layer.basis.width += step
            values.append(layer(x).square().sum())
    assert float(found) == pytest.approx(float(values[0] - values[1]) / 2e-6, rel=1e-4)
    assert equivariance_error(layer, group, x) < 1e-10


def test_what_does_not_serve_such_fields_is_refused():
    group = continuous()
    with pytest.raises(ValueError, match="nonlinearities of a U-Net need one number for each"):
        models.UNet(1, 1, group, (2,))
    with pytest.raises(ValueError, match="a radius or a tilt needs one number for each"):
        layers.GroupPool(group, "select", radius=2.0)
    with pytest.raises(ValueError, match=r"mixes numbers, which torch\.int32 cannot hold"):
        group.act(torch.ones(1, 1, 5, 4, 4, dtype=torch.int32), 2)
    with pytest.raises(ValueError, match="interacting needs one number for each element"):
        groups.Group(TURNS, RINGS, interacting=TURNS[:1], field=BandLimited(1))


def test_the_check_of_a_group_takes_such_fields():
    assert all(check.holds for check in check_group(continuous(), 5).checks[:7])
