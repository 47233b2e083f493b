"""Input lifting: equivariant whatever the module computes, on the grid or between."""

import io

import pytest
import torch
from torch import nn

from gcnn import equivariance, groups, layers
from gcnn.equivariance import Blobs
from gcnn.geometry import zoom
from gcnn.layers.input_lifting import InputLifting
from gcnn.models import UNet
from tests.gcnn.cases import cube, equivariance_error, label, left_right, scalings, size_of

EXACT = (groups.P4(), groups.P4M(), left_right(), cube())
CONVOLUTIONS = {2: nn.Conv2d, 3: nn.Conv3d}
POOLS = {2: nn.MaxPool2d, 3: nn.MaxPool3d}


def stack(dim, stride=1):
    """A plain network that commutes with nothing; even kernels and no padding shift its grid."""
    conv = CONVOLUTIONS[dim]
    return nn.Sequential(
        conv(2, 3, 4), nn.Tanh(), POOLS[dim](2), conv(3, 4, 3, stride, 1), nn.ReLU()
    ).double()


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("group", EXACT, ids=label)
def test_any_module_becomes_equivariant_exactly_on_the_grid(group, stride):
    module = stack(group.dim, stride)
    image = noise(2, 2, *size_of(group, 14))
    assert equivariance_error(InputLifting(group, module), group, image) < 1e-13
    assert equivariance_error(module, group, image) > 0.1


@pytest.mark.parametrize("group", EXACT, ids=label)
def test_vectors_change_places_with_the_elements(group):
    module = nn.Sequential(stack(group.dim), nn.Flatten(), nn.LazyLinear(5)).double()
    lifting = InputLifting(group, module)
    image = noise(2, 2, *size_of(group, 10))
    with torch.no_grad():
        vectors = lifting(image)
        assert vectors.shape == (2, 5, group.order)
        for g in range(group.order):
            moved = lifting(group.act(image, g))[:, :, group.product[g]]
            torch.testing.assert_close(moved, vectors, atol=1e-13, rtol=0)


@pytest.mark.parametrize("size", [(12, 12), (10, 16)])
def test_every_element_is_the_module_between_two_turns(size):
    module, image = stack(2), noise(2, 2, *size)
    lifted = InputLifting(groups.P4(), module)(image)
    for quarters in range(4):
        y = torch.rot90(module(torch.rot90(image, -quarters, (-2, -1))), quarters, (-2, -1))
        torch.testing.assert_close(lifted[:, :, quarters], y, atol=1e-13, rtol=0)


def calls_of(group, image):
    """The shapes of what the module sees."""
    shapes = []
    module = nn.Conv2d(1, 1, 3)
    module.register_forward_pre_hook(lambda _, inputs: shapes.append(tuple(inputs[0].shape)))
    InputLifting(group, module)(image)
    return shapes


def test_images_of_one_shape_share_a_call():
    assert calls_of(groups.SE2(8), torch.ones(2, 1, 8, 8)) == [(16, 1, 8, 8)]
    assert calls_of(groups.P4M(), torch.ones(2, 1, 6, 8)) == [(8, 1, 6, 8), (8, 1, 8, 6)]
    window = groups.ScaleTranslation([2.0, 1.0, 0.5])
    assert calls_of(window, torch.ones(2, 1, 8, 8)) == [(2, 1, n, n) for n in (4, 8, 16)]


def scale_errors(network, group, blobs):
    """`‖y(s f)[k + j] - s y(f)[k]‖ / ‖y(s f)[k + j]‖` inside, for every shift j of the scales."""
    identity, errors = torch.eye(group.dim, dtype=torch.float64), []
    with torch.no_grad():
        still = network(blobs.images())
        for shift, scale in enumerate(group.scales[1:], start=1):
            moved = network(blobs.moved(scale * identity))[:, :, shift:]
            size = moved.shape[-1]
            expected = torch.stack(
                [
                    zoom(y, scale, group.dim, "quintic", (size,) * group.dim)
                    for y in still.unbind(2)[:-shift]
                ],
                dim=2,
            )
            half = int(0.3 * min(scale, 1) * size)
            inside = (..., *(slice(size // 2 - half, size // 2 + half),) * group.dim)
            difference = (moved - expected)[inside].norm()
            errors.append(float(difference / moved[inside].norm()))
    return errors


@pytest.mark.parametrize(
    ("scales", "dim", "size"),
    [([1.0, 0.8, 0.64], 2, 64), ([1.0, 1.25, 1.5625], 2, 65), ([1.0, 0.75], 3, 32)],
)
def test_scaled_images_give_scaled_maps_at_the_scales_that_follow(scales, dim, size):
    group = groups.ScaleTranslation(scales, dim)
    torch.manual_seed(0)
    conv = CONVOLUTIONS[dim]
    module = nn.Sequential(
        conv(1, 4, 3, padding=1), nn.ReLU(), conv(4, 4, 3, padding=1), nn.ReLU()
    ).double()
    blobs = Blobs(size, batch=1, dim=dim, radius=0.2 * size, widths=(2.5, 4.0))
    errors = {
        name: max(scale_errors(InputLifting(group, module, interpolation=name), group, blobs))
        for name in ("linear", "cubic", "quintic")
    }
    assert errors["quintic"] < errors["cubic"] < 5e-3 < errors["linear"]


@pytest.mark.parametrize("size", [64, 72])
def test_modules_that_halve_sizes_keep_the_centre_at_every_scale(size):
    group = groups.ScaleTranslation([1.0, 0.8, 0.64])
    halving = nn.Sequential(layers.SpatialBlurPool(2), layers.SpatialBlurPool(2))
    lifting = InputLifting(group, halving, size_multiple=4, interpolation="quintic")
    # Half a pixel off the centre would be an error of half a pixel in four, an eighth.
    assert max(scale_errors(lifting, group, Blobs(size, widths=(4.0, 6.0)))) < 2e-3


def test_nothing_is_cut_off_when_a_scale_enlarges_the_image():
    corner = torch.zeros(1, 1, 33, 33, dtype=torch.float64)
    corner[..., 2:6, 2:6] = 1
    group = groups.ScaleTranslation([1.0, 0.7, 0.5])
    lifted = InputLifting(group, nn.Identity())(corner)
    assert lifted.shape == (1, 1, 3, 33, 33)
    for y in lifted.unbind(2):
        assert float((y - corner).norm() / corner.norm()) < 0.2


def test_rotations_between_the_grid_angles_hold_inside():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU()).double()
    lifting = InputLifting(groups.SteerableSE2(8), module)
    report = equivariance.equivariance_error(lifting, lifting.group, Blobs(65, widths=(2.5, 4.0)))
    assert report.worst_exact < 1e-13
    assert report.worst < 1e-2


def test_turned_and_scaled_at_once():
    matrices = [s * m for s in (1.0, 0.8) for m in groups.P4().matrices]
    group = groups.Group(matrices, name="P4 x scales")
    image = Blobs(48, widths=(2.5, 4.0)).images()
    lifted = InputLifting(group, stack_of_one())(image)
    for quarters in range(1, 4):
        turned = InputLifting(group, stack_of_one())(torch.rot90(image, quarters, (-2, -1)))
        for scale in range(2):
            y = lifted[:, :, 4 * scale]
            moved = turned[:, :, 4 * scale + quarters]
            expected = torch.rot90(y, quarters, (-2, -1))
            torch.testing.assert_close(moved, expected, atol=1e-12, rtol=0)


def stack_of_one():
    torch.manual_seed(0)
    return nn.Conv2d(1, 2, 3, padding=1).double()


def test_gradients_reach_the_module_and_the_image():
    matrices = torch.stack([groups.SE2(8).matrices[1] * 0.8, torch.eye(2, dtype=torch.float64)])
    lifting = InputLifting(groups.Group(matrices), nn.Conv2d(1, 1, 3).double())
    image = noise(1, 1, 6, 6).requires_grad_()

    def run(image, weight):
        state = {"module.weight": weight}
        return torch.func.functional_call(lifting, state, (image,))

    assert torch.autograd.gradcheck(run, (image, lifting.module.weight))
    lifting(image).square().sum().backward()
    assert lifting.module.weight.grad.abs().sum() > 0


def test_the_state_is_that_of_the_module_alone():
    module = stack(2)
    lifting = InputLifting(groups.ScaleTranslation([1.0, 0.8]), module)
    state = {name.removeprefix("module."): value for name, value in lifting.state_dict().items()}
    other = stack(2)
    other.load_state_dict(state)
    image = noise(1, 2, 12, 12)
    assert torch.equal(other(image), module(image))


def test_a_saved_layer_computes_the_same():
    lifting = InputLifting(groups.ScaleTranslation([1.0, 0.8]), stack(2))
    file = io.BytesIO()
    torch.save(lifting, file)
    file.seek(0)
    image = noise(1, 2, 12, 12)
    assert torch.equal(torch.load(file, weights_only=False)(image), lifting(image))


def test_channels_last_images_give_channels_last_maps():
    lifting = InputLifting(groups.P4(), nn.Conv2d(2, 3, 3, padding=1))
    y = lifting(torch.randn(2, 2, 8, 8).contiguous(memory_format=torch.channels_last))
    assert y.flatten(1, 2).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("module", "multiple"),
    [
        (nn.Conv2d(1, 1, 3), 1),
        (stack(2, stride=2), 4),
        (nn.Sequential(nn.AvgPool2d(2), nn.ConvTranspose2d(1, 1, 2, stride=2)), 2),
        (nn.Sequential(nn.Identity(), UNet(1, 1, channels=(2, 2, 2))), 4),
        (layers.GroupConv(groups.P4(), 1, 1, 4, stride=2), 2),
    ],
)
def test_sizes_follow_the_strides_of_the_module(module, multiple):
    assert InputLifting(groups.ScaleTranslation([1.0, 0.8]), module).size_multiple == multiple


class Summary(nn.Module):
    def forward(self, x):
        return x.mean()


def test_what_cannot_be_lifted_is_refused():
    group = groups.P4()
    with pytest.raises(TypeError, match=r"must be a torch.nn.Module, got builtin_function"):
        InputLifting(group, torch.relu)
    with pytest.raises(ValueError, match=r"Scalings\(1.2, 1.7\) lacks the identity"):
        InputLifting(scalings(1.2, 1.7), nn.Identity())
    with pytest.raises(ValueError, match=r"'quintic'\), got 'sinc'"):
        InputLifting(group, nn.Identity(), interpolation="sinc")
    with pytest.raises(ValueError, match=r"takes an image .* got shape \(1, 8, 8\)"):
        InputLifting(group, nn.Identity())(torch.ones(1, 8, 8))
    with pytest.raises(ValueError, match=r"must give images \(4, channels, .* got shape \(\)"):
        InputLifting(group, Summary())(torch.ones(1, 1, 8, 8))
    with pytest.raises(ValueError, match=r"does not treat the axes of space alike"):
        InputLifting(group, nn.MaxPool2d((1, 2)))(torch.ones(1, 1, 8, 8))
