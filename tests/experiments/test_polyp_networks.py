"""The networks of the polyp study: their sizes, and that they commute with quarter turns."""

import pytest
import torch

from experiments.common.errors import UserError
from experiments.common.networks import parameters
from experiments.polyp.networks import NETWORKS, build_network, matched_channels
from gcnn import groups
from tests.gcnn.cases import equivariance_error
from tests.gcnn.models.test_unet_exactness import EXACT, trained


def test_the_plain_network_has_1965569_parameters():
    assert parameters(build_network("plain")) == 1_965_569


def test_the_p4_network_is_within_two_permille_of_the_slides():
    assert parameters(build_network("p4")) == pytest.approx(1_964_029, rel=0.002)


def test_interpolated_networks_grow_with_n_and_steerable_ones_are_smaller():
    count = {name: parameters(build_network(name)) for name in NETWORKS}
    assert count["p4"] < count["se2_8"] < count["se2_12"]
    for n in (8, 12):
        # 6 functions instead of 9 pixels.
        ratio = count[f"steerable_{n}"] / count[f"se2_{n}"]
        assert ratio == pytest.approx(6 / 9, rel=0.01)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_maps_an_image_to_logits(name):
    model = build_network(name, channels=(2, 3, 4))
    assert model.size_multiple == 4
    assert model(torch.randn(2, 3, 8, 12)).shape == (2, 1, 8, 12)


def test_networks_have_the_widths_of_the_slides():
    widths = [level[0][0].out_channels for level in build_network("plain").encoder]
    assert widths == [16, 32, 64, 128, 256]
    widths = [level[0][0].out_channels for level in build_network("p4").encoder]
    assert widths == [8, 16, 32, 64, 128]
    assert build_network("p4").size_multiple == 16


@pytest.mark.parametrize("network", NETWORKS)
def test_matched_networks_have_nearly_as_many_parameters_as_the_plain_one(network):
    channels = [8, 16, 32, 64]
    plain = parameters(build_network("plain", channels))
    matched = parameters(build_network(network, matched_channels(network, channels)))
    assert matched == pytest.approx(plain, rel=0.25)


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match="p8: unknown; choose from plain, p4,"):
        build_network("p8")


def test_options_are_those_of_the_unet():
    model = build_network("p4", (2, 3), norm="none", pool="mean", kernel_size=5)
    assert model.lift[0].kernel_size == 5 and model.project.mode == "mean"
    assert model(torch.randn(1, 3, 8, 8)).shape == (1, 1, 8, 8)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "plain"])
def test_the_networks_on_groups_commute_with_quarter_turns(name):
    x = torch.randn(1, 3, 16, 16, dtype=torch.float64)
    model = trained(build_network(name, channels=(2, 2, 2, 2, 2)), x)
    assert equivariance_error(model, groups.P4(), x) < EXACT
