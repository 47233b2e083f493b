"""The measure of equivariance on networks whose equivariance is known beforehand."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from experiments.polyp.rotation import (
    angles_of,
    hide_corners,
    inscribed_disc,
    rotation_study,
    turn,
    turn_mask,
)

SIZE = 32


class Isotropic(nn.Module):
    """The threshold of a rotation-symmetric average: equivariant by construction."""

    def forward(self, image: Tensor) -> Tensor:
        axis = torch.arange(-3, 4, dtype=image.dtype)
        kernel = torch.exp(-(axis[:, None] ** 2 + axis[None, :] ** 2) / 3)
        grey = image.mean(1, keepdim=True)
        return functional.conv2d(grey, (kernel / kernel.sum())[None, None], padding=3) - 0.5


class Ramp(Isotropic):
    """The same with a threshold that grows from left to right: it depends on the position."""

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = super().forward(image)
        return logits + torch.linspace(-0.4, 0.4, image.shape[-1], dtype=image.dtype)


class Constant(nn.Module):
    """The same answer everywhere."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, image: Tensor) -> Tensor:
        return torch.full_like(image[:, :1], self.value)


def blobs() -> tuple[Tensor, Tensor]:
    """Two images with one smooth bright blob off the centre each, and their masks, in float64."""
    axis = torch.arange(SIZE, dtype=torch.float64) - (SIZE - 1) / 2
    masks = []
    for row, column in ((-4.0, 5.0), (3.0, 4.0)):
        square = (axis[:, None] - row) ** 2 / 9 + (axis[None, :] - column) ** 2 / 25
        masks.append(torch.exp(-square / 2))
    image = torch.stack(masks)[:, None].expand(-1, 3, -1, -1).clone()
    return image, (image[:, :1] > 0.5).double()


@pytest.mark.parametrize("corners", ["hide", "keep"])
def test_an_equivariant_network_agrees_exactly_at_quarter_turns(corners: str) -> None:
    images, truths = blobs()
    summary = rotation_study(Isotropic(), images, truths, ["a", "b"], 45, corners).summary()
    assert summary["agreement"]["quarter_minimum"] == 1.0
    assert summary["control"]["quarter_minimum"] == 1.0
    between, control = summary["agreement"]["between_mean"], summary["control"]["between_mean"]
    assert between is not None and control is not None
    assert 0.98 < between <= 1.0 and between > control > 0.9


def test_a_network_that_depends_on_the_position_does_not_agree() -> None:
    images, truths = blobs()
    summary = rotation_study(Ramp(), images, truths, ["a", "b"], 90).summary()
    quarter = summary["agreement"]["quarter_mean"]
    assert quarter is not None and quarter < 0.8
    assert summary["control"]["quarter_minimum"] == 1.0


def test_at_zero_degrees_agreement_and_control_are_one() -> None:
    images, truths = blobs()
    study = rotation_study(Ramp(), images, truths, ["a", "b"], 45)
    assert study.angles[0] == 0
    assert (study.agreement[0] == 1).all() and (study.control[0] == 1).all()


def test_dice_against_the_turned_truth_is_constant_for_an_equivariant_network() -> None:
    images, truths = blobs()
    truth = rotation_study(Isotropic(), images, truths, ["a", "b"], 90).truth
    torch.testing.assert_close(truth, truth[:1].expand_as(truth))
    assert (truth > 0.5).all()


def test_a_network_that_finds_nothing_is_not_called_equivariant() -> None:
    images, truths = blobs()
    result = rotation_study(Constant(-1.0), images, truths, ["a", "b"], 90).to_dict()
    assert result["empty_pairs"] == 2 * 4
    assert result["summary"]["agreement"]["quarter_mean"] is None
    assert result["summary"]["truth"]["quarter_mean"] == 0.0
    assert result["values"]["agreement"][0] == [None, None]


def test_only_the_inscribed_disc_counts() -> None:
    class Corner(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            logits = Isotropic()(image)
            logits[..., :4, :4] = 1.0
            return logits

    images, truths = blobs()
    summary = rotation_study(Corner(), images, truths, ["a", "b"], 90).summary()
    assert summary["agreement"]["quarter_minimum"] == 1.0


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_quarter_turn_is_counter_clockwise_and_exact(quarters: int) -> None:
    image = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(turn(image, 90 * quarters), image.rot90(quarters, (-2, -1)))
    mask = (image > 0.5).float()
    assert torch.equal(turn_mask(mask, 90 * quarters), mask.rot90(quarters, (-2, -1)))


def test_a_turned_image_shows_the_blob_where_the_rotation_puts_it() -> None:
    axis = torch.arange(33, dtype=torch.float64) - 16

    def blob(x: float, y: float) -> Tensor:
        return torch.exp(-((axis[None, :] - x) ** 2 + (-axis[:, None] - y) ** 2) / (2 * 2.5**2))

    angle = math.radians(30)
    expected = blob(7 * math.cos(angle), 7 * math.sin(angle))
    assert (turn(blob(7, 0), 30) - expected).abs().max() < 1e-2


def test_hiding_the_corners_commutes_with_quarter_turns_and_removes_them() -> None:
    image, colour = torch.rand(1, 3, 16, 16), torch.full((1, 3, 1, 1), 0.25)
    hidden = hide_corners(image, colour)
    assert torch.equal(hide_corners(image.rot90(1, (-2, -1)), colour), hidden.rot90(1, (-2, -1)))
    assert (hidden[..., 0, 0] == 0.25).all() and torch.equal(hidden[..., 8, 8], image[..., 8, 8])


def test_the_disc_fits_the_square_and_covers_pi_quarters_of_it() -> None:
    disc = inscribed_disc(201)
    assert disc[0].nonzero().tolist() == [[100]] and disc[:, 200].nonzero().tolist() == [[100]]
    assert disc.double().mean().item() == pytest.approx(math.pi / 4, abs=0.01)


def test_the_angles_cover_the_circle_once() -> None:
    assert angles_of(22.5)[:3] == [0, 22.5, 45] and len(angles_of(22.5)) == 16
    assert angles_of(15)[-1] == 345


@pytest.mark.parametrize("step", [0, -15, 40, 360])
def test_a_step_that_misses_90_degrees_is_refused(step: float) -> None:
    with pytest.raises(ValueError, match=f"{step}°.*divide 90°"):
        angles_of(step)


def test_wrong_shapes_names_and_corners_are_refused() -> None:
    images, truths = blobs()
    network = Isotropic()
    with pytest.raises(ValueError, match="'crop'"):
        rotation_study(network, images, truths, ["a", "b"], corners="crop")
    with pytest.raises(ValueError, match=r"\(2, 3, 32, 30\)"):
        rotation_study(network, images[..., :30], truths, ["a", "b"])
    with pytest.raises(ValueError, match="do not go with"):
        rotation_study(network, images, truths[:1], ["a", "b"])
    with pytest.raises(ValueError, match="1 names for 2 images"):
        rotation_study(network, images, truths, ["a"])
