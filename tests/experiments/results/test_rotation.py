"""The measure of equivariance on networks whose equivariance is known beforehand."""

import math

import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from experiments.polyp.rotation import (
    angles_of,
    hide_corners,
    inscribed_disc,
    measure_rotation,
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


def measure(network: nn.Module, step: float = 90, corners: str = "hide") -> pd.DataFrame:
    images, truths = blobs()
    angles = angles_of(step)
    return measure_rotation(network, images, truths, ["a", "b"], ["spot"], angles, corners)[0]


def values(table: pd.DataFrame, metric: str, rest: tuple[float, ...] = (0.0,)) -> pd.Series:
    """Of one metric, at the angles with these rests on division by 90."""
    chosen = (table["metric"] == metric) & (table["at"] % 90).isin(rest)
    return table.loc[chosen, "value"]


@pytest.mark.parametrize("corners", ["hide", "keep"])
def test_an_equivariant_network_agrees_exactly_at_quarter_turns(corners: str) -> None:
    table = measure(Isotropic(), 45, corners)
    assert values(table, "agreement").min() == values(table, "control").min() == 1.0
    between, control = (values(table, m, (45.0,)).mean() for m in ("agreement", "control"))
    assert 0.98 < between <= 1.0 and between > control > 0.9


def test_a_network_that_depends_on_the_position_does_not_agree_but_at_zero_degrees() -> None:
    table = measure(Ramp())
    upright = table["at"] == 0
    assert (values(table[upright], "agreement") == 1).all()
    assert values(table[~upright], "agreement").mean() < 0.8
    assert values(table, "control").min() == 1.0


def test_dice_against_the_turned_truth_is_constant_for_an_equivariant_network() -> None:
    table = measure(Isotropic())
    dice = table[table["metric"] == "dice"].pivot(index="at", columns="case", values="value")
    assert (dice == dice.iloc[0]).all(axis=None) and (dice > 0.5).all(axis=None)


def test_a_network_that_finds_nothing_is_not_called_equivariant() -> None:
    table = measure(Constant(-1.0))
    assert len(values(table, "agreement")) == 2 * 4 and values(table, "agreement").isna().all()
    assert (values(table, "dice") == 0).all() and (values(table, "found") == 0).all()


def test_only_the_inscribed_disc_counts() -> None:
    class Corner(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            logits = Isotropic()(image)
            logits[..., :4, :4] = 1.0
            return logits

    assert values(measure(Corner()), "agreement").min() == 1.0


def test_every_region_is_measured_by_itself() -> None:
    class Both(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return torch.cat([Isotropic()(image), Ramp()(image)], 1)

    images, truths = blobs()
    truths = torch.cat([truths, 0 * truths], 1)
    table, frames = measure_rotation(Both(), images, truths, ["a", "b"], ["spot", "none"], [0, 90])
    least = table[table["metric"] == "agreement"].groupby("region")["value"].min()
    assert least["spot"] == 1 > least["none"]
    there = table[table["metric"] == "dice"].groupby("region")["present"].all()
    assert there["spot"] and not there["none"]
    assert len(frames.pictures) == 2


def test_the_frames_are_a_few_of_many_angles() -> None:
    images, truths = blobs()
    frames = measure_rotation(Isotropic(), images, truths, ["a", "b"], ["spot"], angles_of(5))[1]
    stops = frames.sliders["turned by"]
    assert len(stops) == len(frames.pictures) <= 24 and stops[:2] == ["0°", "15°"]
    assert frames.said[1].startswith("turned by 15°, Dice 0.")


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


@pytest.mark.parametrize("step", [0, -15, 40, 360, math.nan, math.inf])
def test_a_step_that_misses_90_degrees_is_refused(step: float) -> None:
    with pytest.raises(ValueError, match=f"{step}°.*divide 90°"):
        angles_of(step)


@pytest.mark.parametrize("step", [1e-9, 0.01, 1e-300])
def test_more_angles_than_can_be_done_are_refused_with_their_number(step: float) -> None:
    with pytest.raises(ValueError, match=r"which makes [\d.e+]+ angles; it must be at least 0.1°"):
        angles_of(step)
