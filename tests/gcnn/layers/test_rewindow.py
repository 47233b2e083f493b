"""One set of weights on many windows of the scales."""

import pytest
import torch
from torch import nn

from gcnn import groups, layers, models
from gcnn.layers import rewindow
from tests.gcnn.cases import relative_error

FEW = [1.0, 0.9, 0.81]
OTHERS = {
    "longer": [1.0, 0.9, 0.81, 0.729, 0.6561],
    "longer at the other end": [1.2345679, 1.1111111, 1.0, 0.9, 0.81],
    "shorter": [1.0, 0.9],
    "finer": [1.0, 0.95, 0.9, 0.855, 0.81],
    "shifted": [0.9, 0.81, 0.729],
    "backwards": [0.81, 0.9, 1.0],
}


def scales(*values, dim=2, **options):
    return groups.ScaleTranslation(list(values), dim, **options)


def network(group, seed=0):
    torch.manual_seed(seed)
    built = nn.Sequential(
        layers.LiftingConv(group, 1, 3, 5, padding="same"),
        layers.GroupBatchNorm(group, 3),
        nn.ReLU(),
        layers.GroupConv(group, 3, 4, 6, stride=2, padding=2),
        layers.GroupInstanceNorm(group, 4),
        nn.ReLU(),
        layers.GroupConvTranspose(group, 4, 2, 6, stride=2, padding=2),
    ).double()
    built(torch.randn(4, 1, *(16,) * group.dim, dtype=torch.float64))
    return built.eval()


def image(dim=2):
    return torch.randn(2, 1, *(16,) * dim, dtype=torch.float64, generator=torch.Generator())


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("case", OTHERS)
def test_common_scales_see_what_they_saw(case, dim):
    own, other = scales(*FEW, dim=dim), scales(*OTHERS[case], dim=dim)
    # Instance normalisation looks at all scales of the window, so it is left out here.
    original = nn.Sequential(*(m for m in network(own) if not hasattr(m, "num_features")))
    x = image(dim)
    before, after = original(x), rewindow(original, other)(x)
    assert after.shape[2] == other.order
    common = [(i, j) for i, s in enumerate(own.scales) for j, t in enumerate(other.scales)
              if abs(s - t) < 1e-7]  # fmt: skip
    assert common
    for i, j in common:
        assert relative_error(before[:, :, i], after[:, :, j]) < 1e-7


@pytest.mark.parametrize("case", OTHERS)
def test_a_rewound_network_is_the_one_built_on_the_other_window_with_these_weights(case):
    original, group = network(scales(*FEW)), scales(*OTHERS[case])
    rewound, built = rewindow(original, group), network(group, seed=1)
    state = {k: v for k, v in original.state_dict().items() if not k.endswith("_extra_state")}
    built.load_state_dict(state)
    torch.testing.assert_close(rewound(image()), built(image()), atol=0, rtol=0)
    built.load_state_dict(rewound.state_dict())


def test_filters_are_the_same_bit_for_bit():
    few, many = scales(1.0, 0.9, 0.81, dim=3), scales(1.0, 0.9, 0.81, 0.729, dim=3)
    for layer in (layers.LiftingConv(few, 2, 3, 7), layers.GroupConv(few, 2, 3, 7)):
        longer = rewindow(layer, many)
        own, other = layer.filters(), longer.filters()
        if isinstance(layer, layers.LiftingConv):
            own, other = (
                f.unflatten(0, (3, -1)).transpose(0, 1).flatten(0, 1) for f in (own, other)
            )
        assert torch.equal(own, other[: len(own)])


def test_equal_seeds_draw_equal_weights_on_every_window():
    drawn = []
    for window in ([1.0, 0.9, 0.81], [1.0, 0.9, 0.81, 0.729], [1.5, 1.2]):
        torch.manual_seed(0)
        drawn.append(layers.GroupConv(scales(*window), 2, 3, 5).weight)
    assert torch.equal(drawn[0], drawn[1]) and torch.equal(drawn[0], drawn[2])


@pytest.mark.parametrize("kernel_size", [1, 4, 7])
@pytest.mark.parametrize("layer_type", [layers.LiftingConv, layers.GroupConv])
def test_larger_scales_get_larger_windows_and_maps_keep_their_size(layer_type, kernel_size):
    small, large = scales(1.0, 0.8), scales(1.5, 1.2, 1.0, 0.8)
    layer = layer_type(small, 1, 1, kernel_size, padding=kernel_size // 2)
    longer = rewindow(layer, large)
    assert longer.kernel.size >= 1.5 * (kernel_size - 1) + 1
    shape = (1, 1, 12, 12) if layer_type is layers.LiftingConv else (1, 1, 2, 12, 12)
    other = shape if layer_type is layers.LiftingConv else (1, 1, 4, 12, 12)
    assert layer(torch.zeros(shape)).shape[3:] == longer(torch.zeros(other)).shape[3:]


def test_u_nets_are_rewound_too_and_stand_alone():
    group, longer = scales(1.0, 0.8), scales(1.25, 1.0, 0.8, 0.64)
    unet = models.UNet(1, 2, group, (2, 3), kernel_size=5, pool="mean").eval()
    rewound = rewindow(unet, longer)
    assert rewound.group == longer and not rewound.training
    assert rewound(torch.zeros(1, 1, 16, 16)).shape == (1, 2, 16, 16)
    for module, window in ((rewound, longer), (unet, group)):
        found = {getattr(part, "group", None) for part in module.modules()}
        assert found - {None} == {window}
    before = unet.head.weight.clone()
    with torch.no_grad():
        for parameter in rewound.parameters():
            parameter.zero_()
    assert torch.equal(unet.head.weight, before)


@pytest.mark.parametrize("ends", ["zero", "replicate"])
def test_interacting_scales_carry_over_at_the_same_ratio(ends):
    own = scales(1.0, 0.8, 0.64, interaction=2, scale_padding=ends)
    other = scales(1.25, 1.0, 0.8, 0.64, 0.512, interaction=2, scale_padding=ends)
    layer = layers.GroupConv(own, 2, 3, 5, padding=2).double()
    x = torch.randn(1, 2, 5, 9, 9, dtype=torch.float64)
    found = rewindow(layer, other)(x)[:, :, 1:3]
    torch.testing.assert_close(found, layer(x[:, :, 1:4])[:, :, :2], atol=1e-10, rtol=0)


def test_restricted_windows_are_rewound_layer_by_layer():
    def build(group):
        return nn.Sequential(
            layers.LiftingConv(group, 1, 2, 3, padding=1),
            layers.GroupConv(group, 2, 2, 3, padding=1),
            layers.GroupConv(group.target, 2, 2, 3, padding=1),
            layers.GroupPool(group.target.target),
        )

    own, other = (
        scales(*values, interaction=2, scale_padding="valid")
        for values in ([1.0, 0.8, 0.64, 0.512], [1.25, 1.0, 0.8, 0.64, 0.512])
    )
    assert build(own)(torch.zeros(1, 1, 9, 9)).shape == (1, 2, 9, 9)
    rewound = rewindow(build(own), other)
    assert rewound(torch.zeros(1, 1, 9, 9)).shape == (1, 2, 9, 9)
    assert rewound[3].group.order == 3


REFUSED = {
    "rotations": (groups.P4(), groups.SE2(8), r"0 is on P4\(\): only windows .* SE2\(8\) has a"),
    "another ratio": (
        scales(1.0, 0.8, 0.64, interaction=2), scales(1.0, 0.9, 0.81, interaction=2),
        r"ratios 1, 0\.8; on .* ratios 1, 0\.9: use the same ratio",
    ),
    "another interaction": (
        scales(1.0, 0.8, 0.64, interaction=2), scales(1.0, 0.8, 0.64), r"the same number of them",
    ),
    "another dimension": (
        scales(1.0, 0.8), scales(1.0, 0.8, dim=3), r"moves 2D space, .* moves 3D",
    ),
    "other ends": (
        scales(1.0, 0.8, 0.64, interaction=2),
        scales(1.0, 0.8, 0.64, interaction=2, scale_padding="valid"),
        r"only one of it and .* leaves out the elements at its ends",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_carry_over_is_refused_with_the_reason(case):
    own, other, message = REFUSED[case]
    layer = nn.Sequential(layers.LiftingConv(own, 1, 1, 3), layers.GroupConv(own, 1, 1, 3))
    with pytest.raises(ValueError, match=message):
        rewindow(layer, other)


def test_frozen_and_ordinary_networks_are_refused():
    with pytest.raises(ValueError, match="holds frozen filters: use rewindow before freeze"):
        rewindow(layers.freeze(network(scales(*FEW))), scales(1.0))
    with pytest.raises(ValueError, match="nothing in this Sequential is on a group"):
        rewindow(nn.Sequential(nn.Conv2d(1, 1, 3)), scales(1.0))
    with pytest.raises(TypeError, match=r"got the class P4; use P4\(\)"):
        rewindow(network(scales(*FEW)), groups.P4)


def test_a_rewound_network_can_be_saved_and_trained():
    rewound = rewindow(network(scales(*FEW)), scales(*OTHERS["longer"])).train()
    rewound(image()).sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in rewound.parameters())
    assert torch.equal(layers.freeze(rewound)(image()), layers.freeze(rewound)(image()))


def test_input_lifting_moves_to_a_window_that_has_the_identity_and_to_no_other():
    module = nn.Conv2d(1, 2, 3, padding=1)
    lifting = layers.InputLifting(scales(1.0, 0.8, 0.64), module)
    assert rewindow(lifting, scales(1.0, 0.5))(torch.zeros(1, 1, 32, 32)).shape[2] == 2
    with pytest.raises(ValueError, match="lacks the identity"):
        rewindow(lifting, scales(0.9, 0.8))
    with pytest.raises(TypeError, match=r"got 'p4'; use groups\.P4\(\)"):
        layers.InputLifting("p4", module)


@pytest.mark.parametrize(("mode", "most"), [("reflect", 8), ("circular", 9)])
@pytest.mark.parametrize("frozen", [False, True])
def test_windows_that_grow_beyond_what_can_be_continued_are_refused(mode, most, frozen):
    group = groups.ScaleTranslation([3.0, 1.0], dim=3)
    layer = layers.LiftingConv(group, 1, 1, 7, padding="same", padding_mode=mode)
    layer = layers.freeze(layer) if frozen else layer
    with pytest.raises(ValueError, match=rf"by {most - 1} pixels, and windows of 19 pixels need 9"):
        layer(torch.zeros(1, 1, 8, 8, 8))
    assert layer(torch.ones(1, 1, 10, 10, 10)).shape[3:] == (10, 10, 10)
