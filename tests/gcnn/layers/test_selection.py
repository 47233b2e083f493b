"""Selecting elements of the group."""

import math

import pytest
import torch
from torch import nn

from gcnn import groups, layers
from gcnn.geometry import grid_points
from gcnn.layers import GroupPool, Selection, chosen, select
from tests.gcnn.cases import CLOSED, SCALES, exact_elements, label, size_of
from tests.gcnn.layers.test_memory_layout import features as channels_last

SCORES = ("certainty", "height")
RATIO = 0.8
WINDOW = groups.ScaleTranslation([RATIO**i for i in range(-4, 7)])


def recognised(zoom, group=WINDOW, size=128):
    """Logits of a network that recognises a disc of radius 14 · zoom at the scale it has.

    At scale s they are high on a disc as large as the object, the higher the nearer s is to zoom.
    """
    distance = grid_points((size, size)).norm(dim=-1)
    maps = []
    for scale in group.scales:
        sure = 8 * math.exp(-((math.log(scale / zoom) / 0.5) ** 2)) - 4
        maps.append((sure + 6) * torch.sigmoid((14 * zoom - distance) / (3 * zoom)) - 6)
    return torch.stack(maps)[None, None]


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("radius", [None, 3.0])
@pytest.mark.parametrize("group", CLOSED, ids=label)
def test_weights_move_with_the_input(group, radius, score):
    x = torch.randn(2, 3, group.order, *size_of(group, 7), dtype=torch.float64)
    selection = Selection(group, score, radius=radius)
    weights = selection(x)
    for element in exact_elements(group):
        moved = selection(group.act(x, element))
        if radius is None:
            expected = torch.empty_like(weights)
            expected[:, group.product[element]] = weights
        else:
            expected = group.act(weights[:, None], element)[:, 0]
        torch.testing.assert_close(moved, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("radius", [None, 2.0])
@pytest.mark.parametrize("group", CLOSED, ids=label)
def test_the_selected_image_moves_with_the_input(group, radius):
    pool = GroupPool(group, "select", radius=radius).eval()
    x = torch.randn(2, 3, group.order, *size_of(group, 6), dtype=torch.float64)
    for element in exact_elements(group):
        expected = group.act(pool(x), element)
        observed = pool(group.act(x, element))
        assert (observed - expected).norm() <= 1e-10 * expected.norm()


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("steps", [-2, -1, 1, 2])
def test_zooming_the_input_moves_the_weights_along_the_scales(steps, score):
    selection = Selection(WINDOW, score)
    still, zoomed = (selection(recognised(RATIO**n))[0] for n in (0, steps))
    assert still.max() > 0.1
    assert still[[0, 1, -2, -1]].max() < 0.01
    torch.testing.assert_close(zoomed, still.roll(steps), rtol=0, atol=0.01)


def test_emptiness_around_does_not_change_what_is_chosen():
    selection = Selection(WINDOW)
    narrow, wide = (selection(recognised(1.0, size=size)) for size in (64, 192))
    torch.testing.assert_close(narrow, wide, rtol=0, atol=2e-3)


def test_every_image_of_a_batch_and_with_a_radius_every_place_has_its_own_choice():
    small, large = recognised(RATIO**2), recognised(RATIO**-2)
    alone = [Selection(WINDOW)(x) for x in (small, large)]
    together = Selection(WINDOW)(torch.cat([small, large]))
    torch.testing.assert_close(together, torch.cat(alone))
    beside = Selection(WINDOW, radius=10.0)(torch.cat([small, large], dim=-1))
    for place, expected in ((64, 6), (192, 2)):
        assert beside[0, :, 64, place].argmax() == expected


def test_the_weights_are_the_formula():
    x = torch.randn(2, 3, 3, 5, 4, dtype=torch.float64)
    group = groups.ScaleTranslation([1.0, 0.9, 0.7])
    for score, tilt in (("certainty", 0.0), ("height", 0.4)):
        expected = torch.zeros(2, 3, dtype=torch.float64)
        for image in range(2):
            for element in range(3):
                above = below = 0.0
                for f in x[image, :, element].flatten().tolist():
                    p, h = 1 / (1 + math.exp(-f)), max(f, 0)
                    above += p**2 if score == "certainty" else h**2
                    below += p**2 * (1 - p) if score == "certainty" else h
                expected[image, element] = (above / below * group.scales[element] ** tilt) ** 5
        expected /= expected.sum(dim=1, keepdim=True)
        observed = Selection(group, score, sharpness=5, tilt=tilt)(x)
        torch.testing.assert_close(observed, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("radius", [None, 2.0])
@pytest.mark.parametrize("group", SCALES, ids=repr)
def test_without_sharpness_a_selection_is_the_mean(group, radius):
    x = torch.randn(2, 3, group.order, *size_of(group, 5))
    pool = GroupPool(group, "select", sharpness=0, radius=radius).eval()
    torch.testing.assert_close(pool(x), x.mean(dim=2))


def test_while_it_trains_a_selection_is_the_mean():
    x = torch.randn(2, 3, 4, 5, 5)
    pool = GroupPool(groups.P4(), "select")
    assert torch.equal(pool.train()(x), x.mean(dim=2))
    assert not torch.allclose(pool.eval()(x), x.mean(dim=2))


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("radius", [None, 2.0])
def test_gradients_are_those_of_the_formula(radius, score):
    group = groups.ScaleTranslation([1.0, 0.8, 0.64])
    selection = Selection(group, score, radius=radius, tilt=0.2)
    x = torch.randn(2, 2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: select(x, selection(x)), x)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("value", [0.0, -3.0, -1e4, 1e4])
def test_images_without_anything_to_choose_give_finite_weights_and_gradients(value, score):
    x = torch.full((1, 2, 4, 3, 3), value, requires_grad=True)
    weights = Selection(groups.P4(), score)(x)
    torch.testing.assert_close(weights, torch.full((1, 4), 0.25))
    select(x, weights).sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("score", SCORES)
def test_an_element_that_finds_nothing_is_not_chosen(score):
    x = torch.full((1, 1, 4, 3, 3), -200.0)
    x[:, :, 2] = 0.01
    assert Selection(groups.P4(), score)(x).argmax() == 2


@pytest.mark.parametrize("radius", [None, 2.0])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dtype_and_layout_are_kept(dtype, radius):
    pool = GroupPool(groups.P4(), "select", radius=radius).eval()
    x = channels_last(2, 3, 4, 6, 6).to(dtype)
    y = pool(x)
    assert y.dtype == dtype
    assert y.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(y, pool(x.contiguous()))


def test_a_selection_moves_to_another_window():
    few = groups.ScaleTranslation([1.0, RATIO, RATIO**2])
    pool = GroupPool(few, "select", radius=3.0, tilt=0.2).eval()
    x = recognised(1.0, size=32)
    wider = layers.rewindow(pool, WINDOW)
    assert torch.equal(wider(x), GroupPool(WINDOW, "select", radius=3.0, tilt=0.2).eval()(x))


def test_a_selection_adds_nothing_to_the_state():
    assert not GroupPool(WINDOW, "select", radius=3.0).state_dict()


@pytest.mark.parametrize("radius", [None, 2.0])
def test_a_selection_can_be_exported(radius):
    pool = GroupPool(WINDOW, "select", radius=radius, tilt=0.2).eval()
    x = recognised(1.0, size=16)
    program = torch.export.export(pool, (x,))
    torch.testing.assert_close(program.module()(x), pool(x))


def test_a_network_tells_what_it_chose_and_stays_as_it_was():
    group = groups.P4()
    network = nn.Sequential(
        layers.LiftingConv(group, 1, 2, 3), nn.Dropout(), GroupPool(group, "select")
    )
    network[1].eval()
    x = torch.randn(3, 1, 8, 8)
    (weights,) = chosen(network, x)
    torch.testing.assert_close(weights, network[2].selection(network[0](x)))
    assert not weights.requires_grad
    assert [part.training for part in network] == [True, False, True]
    network(x)
    with pytest.raises(ValueError, match="Identity holds no selection"):
        chosen(nn.Identity(), x)


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match=r"score must be one of .*, got 'entropy'"):
        Selection(WINDOW, "entropy")
    for sharpness in (-1, math.inf, math.nan):
        with pytest.raises(ValueError, match="sharpness must be finite and not negative, got"):
            Selection(WINDOW, sharpness=sharpness)
    for radius in (0, -1.0, math.nan):
        with pytest.raises(ValueError, match="radius must be positive"):
            Selection(WINDOW, radius=radius)
    shear = torch.tensor([[1.0, 1.0], [0.0, 1.0]])
    with pytest.raises(ValueError, match="does more than turn, mirror and scale"):
        Selection(groups.Group([torch.eye(2), shear]), radius=2.0)
    with pytest.raises(TypeError, match="mode 'max' has no options, got radius"):
        GroupPool(WINDOW, "max", radius=2.0)


def test_the_certainty_is_a_ratio_for_the_most_certain_logits_too():
    """The same object at two sizes, with as much around it, has the same weight at both."""
    for height in (20.0, 50.0, 500.0):
        x = torch.full((1, 1, 2, 32, 32), -height)
        x[:, :, 0, :16, :16] = height
        x[:, :, 1, :8, :8] = height
        weights = Selection(groups.ScaleTranslation([1.0, 0.5]))(x)
        assert weights[0].tolist() == pytest.approx([0.5, 0.5], abs=1e-3)


def test_where_nothing_is_found_no_element_is_preferred():
    for depth in (12.0, 30.0, 300.0):
        x = torch.full((1, 1, 2, 8, 8), -depth)
        x[:, :, 1] -= 1
        weights = Selection(groups.ScaleTranslation([1.0, 0.5]))(x)
        assert weights[0].tolist() == pytest.approx([0.5, 0.5], abs=1e-3)


@pytest.mark.parametrize("radius", [None, 3.0])
@pytest.mark.parametrize("score", ["certainty", "height"])
def test_autocast_does_not_round_the_choice(score, radius):
    group = groups.ScaleTranslation([1.0, 0.8])
    x = torch.randn(2, 3, 2, 12, 12)
    selection = Selection(group, score, radius=radius)
    with torch.autocast("cpu", torch.bfloat16):
        found = selection(x)
    assert torch.equal(found, selection(x))
