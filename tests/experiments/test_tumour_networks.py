"""The networks of the tumour study: what each is, and what the scale networks commute with."""

import pytest
import torch
from torch import nn

from experiments.common.errors import UserError
from experiments.common.networks import parameters
from experiments.tumour.networks import NETWORKS, build_network
from gcnn import groups, layers
from gcnn.layers.convolution import Convolution
from gcnn.models import ResidualUnit
from tests.gcnn.cases import relative_error
from tests.gcnn.models.test_unet_exactness import EXACT, trained

SCALE = ("scale_mean", "scale_max")


def volume(*size, channels=4, dtype=torch.float32):
    return torch.randn(1, channels, *size, generator=torch.Generator().manual_seed(0), dtype=dtype)


def test_the_networks_have_their_widths():
    assert build_network("plain", 4, 1).channels == (16, 32, 64, 128, 256)
    assert build_network("plain_width", 4, 1).channels == (16, 32, 64, 128)
    assert build_network("scale_mean", 4, 1).channels == (4, 8, 16, 32)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_maps_a_volume_to_logits(name):
    model = build_network(name, 2, 3, channels=(2, 3))
    assert model(volume(8, 12, 16, channels=2)).shape == (1, 3, 8, 12, 16)


@pytest.mark.parametrize(
    ("name", "size_multiple"), [("scale_max", 8), ("plain_width", 8), ("plain", 16)]
)
def test_sizes_are_multiples_of_the_halvings(name, size_multiple):
    model = build_network(name, 4, 1)
    assert model.size_multiple == size_multiple
    with pytest.raises(ValueError, match=f"must be a multiple of {size_multiple}"):
        model(volume(16, 16, 12))


@pytest.mark.parametrize(
    ("channels", "within"), [(None, 0.02), ((8, 16, 32, 64), 0.02), ((6, 12, 24), 0.05)]
)
@pytest.mark.parametrize("options", [{}, {"norm": "none"}, {"block": "double"}], ids=str)
def test_the_matched_network_has_as_many_parameters_as_the_scale_networks(
    channels, within, options
):
    wanted = parameters(build_network("scale_mean", 4, 1, channels=channels, **options))
    matched = build_network("plain_parameters", 4, 1, channels=channels, **options)
    assert parameters(matched) == pytest.approx(wanted, rel=within)
    assert matched.channels == tuple(sorted(matched.channels))


def test_searching_widths_leaves_the_random_numbers_alone():
    torch.manual_seed(0)
    one = build_network("plain_parameters", 4, 1, channels=(2, 3))
    torch.manual_seed(0)
    build_network("plain_parameters", 4, 1, channels=(2, 3))
    torch.manual_seed(0)
    other = build_network("plain_parameters", 4, 1, channels=(2, 3))
    assert torch.equal(one.head.weight, other.head.weight)


def test_ordinary_networks_are_the_scale_networks_without_a_group():
    model = build_network("plain_width", 4, 1, channels=(2, 3))
    assert model.group is None and model.channels == (8, 12)
    assert all(isinstance(level, ResidualUnit) for level in model.encoder)
    assert isinstance(model.down[0][0], nn.Conv3d) and isinstance(
        model.up[0][0], nn.ConvTranspose3d
    )
    assert model.encoder[0].body[0][0].kernel_size == (3, 3, 3)
    assert isinstance(model.down[0][1], nn.BatchNorm3d)


def test_scale_networks_have_four_scales_and_project_over_them():
    model = build_network("scale_mean", 4, 1)
    assert isinstance(model.group, groups.ScaleTranslation)
    diagonals = torch.diagonal(model.group.matrices, dim1=1, dim2=2)
    torch.testing.assert_close(diagonals, 0.9 ** torch.arange(4.0).double()[:, None].expand(4, 3))
    assert isinstance(model.down[0][0], layers.GroupConv) and model.down[0][0].stride == 2
    assert isinstance(model.up[0][0], layers.GroupConvTranspose)
    assert model.encoder[0].body[0][0].kernel_size == 7
    assert model.project.mode == "mean" and build_network("scale_max", 4, 1).project.mode == "max"


def test_scales_do_not_interact_before_the_projection():
    torch.manual_seed(0)
    model = build_network("scale_mean", 1, 1, channels=(2, 3), norm="none").eval()
    features = torch.randn(1, 2, 4, 8, 8, 8)
    changed = features.clone()
    changed[:, :, 1] += 1
    with torch.no_grad():
        top = [model.encoder[0](f) for f in (features, changed)]
        low = [model.up[0](model.encoder[1](model.down[0](t))) for t in top]
        same = (low[0] == low[1]).flatten(3).all(dim=3).all(dim=1)[0]
    assert same.tolist() == [True, False, True, True]


def move_filters(model, move):
    """Weights of which the filters are the moved ones: the basis spans its own moved functions."""
    for layer in model.modules():
        if isinstance(layer, Convolution):
            basis = layer.basis.sample(layer.group.matrices, layer.kernel_size)
            moved = move(basis)
            within = moved.flatten(1) @ torch.linalg.pinv(basis.flatten(1))
            torch.testing.assert_close(within @ basis.flatten(1), moved.flatten(1))
            layer.weight.data = layer.weight.data @ within


@pytest.mark.parametrize("name", SCALE)
@pytest.mark.parametrize("options", [{}, {"norm": "batch"}, {"anti_aliased": True}], ids=str)
@pytest.mark.parametrize(
    "move",
    [
        lambda v: v.transpose(2, 3),
        lambda v: v.permute(0, 1, 3, 4, 2),
        lambda v: v.flip(2),
        lambda v: v.transpose(3, 4).flip(3),
    ],
    ids=["swap", "cycle", "flip", "turn"],
)
def test_axis_swaps_and_flips_of_the_volume_are_those_of_the_filters(name, options, move):
    x = volume(8, 12, 16, channels=1, dtype=torch.float64)
    model = trained(build_network(name, 1, 1, channels=(2, 3), **options), x)
    with torch.no_grad():
        expected = move(model(x))
        assert relative_error(expected, model(move(x))) > 0.01
        move_filters(model, move)
        assert relative_error(expected, model(move(x))) < EXACT


def test_options_are_those_of_the_unet():
    model = build_network("scale_max", 1, 1, (2, 3), norm="batch", kernel_size=5, dropout=0.2)
    assert isinstance(model.lift[1], layers.GroupBatchNorm) and model.lift[0].kernel_size == 5
    assert any(isinstance(module, layers.GroupDropout) for module in model.modules())


@pytest.mark.parametrize("name", NETWORKS)
def test_no_levels_are_refused(name):
    with pytest.raises(ValueError, match="channels must be positive integers, one for each level"):
        build_network(name, 4, 1, channels=())


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match="scale: unknown; choose from plain, plain_parameters,"):
        build_network("scale", 4, 1)
