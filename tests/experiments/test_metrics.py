"""Dice, IoU and their summary, against closed forms and slow loops."""

import math

import pytest
import torch
from torch import nn

from experiments.common.metrics import dice, iou, probabilities, summarise


def masks(*rows: str) -> torch.Tensor:
    """One case of shape (1, 1, rows, columns) from strings of 0 and 1."""
    return torch.tensor([[int(c) for c in row] for row in rows], dtype=torch.float32)[None, None]


def test_dice_and_iou_of_half_overlapping_masks_have_their_closed_form() -> None:
    prediction, truth = masks("1100", "0000"), masks("0110", "0000")
    assert dice(prediction, truth).item() == pytest.approx(2 * 1 / 4)
    assert iou(prediction, truth).item() == pytest.approx(1 / 3)


def test_two_empty_masks_agree_and_one_empty_mask_does_not() -> None:
    empty, full = masks("00", "00"), masks("11", "11")
    for metric in (dice, iou):
        assert metric(empty, empty).item() == 1.0
        assert metric(empty, full).item() == 0.0
        assert metric(full, empty).item() == 0.0


@pytest.mark.parametrize("space", [(7, 6), (4, 5, 3)])
def test_every_case_has_its_own_value_in_two_and_three_dimensions(space: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    prediction = (torch.rand(5, 1, *space, generator=generator) > 0.5).float()
    truth = (torch.rand(5, 1, *space, generator=generator) > 0.5).float()
    for case in range(5):
        a = {tuple(i) for i in prediction[case, 0].nonzero().tolist()}
        b = {tuple(i) for i in truth[case, 0].nonzero().tolist()}
        assert dice(prediction, truth)[case].item() == pytest.approx(
            2 * len(a & b) / (len(a) + len(b))
        )
        assert iou(prediction, truth)[case].item() == pytest.approx(len(a & b) / len(a | b))


def test_soft_masks_and_differing_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="prediction has values other than 0 and 1"):
        dice(torch.full((1, 1, 2, 2), 0.7), torch.ones(1, 1, 2, 2))
    with pytest.raises(ValueError, match=r"\(1, 1, 2, 2\) and \(1, 1, 2, 3\)"):
        iou(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 3))


def test_outliers_are_the_cases_below_the_lower_fence_the_worst_first() -> None:
    values = {f"case {i}": 0.8 + 0.01 * i for i in range(9)} | {"bad": 0.2, "worse": 0.1}
    summary = summarise(values)
    assert list(summary.outliers) == ["worse", "bad"]
    assert summary.fence == pytest.approx(summary.q1 - 1.5 * (summary.q3 - summary.q1))
    assert summary.count == 11


def test_the_summary_of_known_numbers_is_the_textbook_one() -> None:
    summary = summarise({"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0})
    assert (summary.mean, summary.median) == (2.5, 2.5)
    assert (summary.q1, summary.q3) == (1.75, 3.25)
    assert summary.std == pytest.approx(math.sqrt(5 / 3))
    assert summary.outliers == {}


def test_a_single_case_has_no_spread_and_no_cases_are_refused() -> None:
    assert summarise({"only": 0.5}).std == 0.0
    with pytest.raises(ValueError, match="no cases"):
        summarise({})
    with pytest.raises(ValueError, match="'broken' is nan"):
        summarise({"broken": math.nan})


def test_a_network_in_eval_mode_is_not_switched_and_keeps_its_caches() -> None:
    class Counting(nn.Conv2d):
        switched = 0

        def train(self, mode: bool = True) -> "Counting":
            self.switched += 1
            return super().train(mode)

    network = Counting(3, 1, 1).eval()
    before = network.switched
    probabilities(network, torch.rand(1, 3, 4, 4))
    assert network.switched == before and not network.training


def test_probabilities_are_taken_in_eval_mode_and_the_mode_is_restored() -> None:
    network = nn.Sequential(nn.Conv2d(3, 1, 1), nn.Dropout(0.9))
    images = torch.rand(5, 3, 4, 4)
    network.train()
    first, second = probabilities(network, images, 2), probabilities(network, images, 5)
    assert network.training
    torch.testing.assert_close(first, second)
    torch.testing.assert_close(first, network[0](images).sigmoid())
