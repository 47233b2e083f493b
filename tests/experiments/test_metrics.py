"""Overlaps, distances and their summary, against closed forms and slow loops."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from experiments.common.metrics import (
    dice,
    dice_by_region,
    hausdorff_95,
    iou,
    iou_by_region,
    probabilities,
    soft_dice,
    summarise,
)


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


def random_masks(*shape: int, seed: int, share: float = 0.5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(shape, generator=generator) < share).float()


def test_every_region_is_scored_as_if_it_were_alone() -> None:
    prediction, truth = (random_masks(3, 2, 4, 5, 3, seed=seed) for seed in (0, 1))
    for by_region, single in ((dice_by_region, dice), (iou_by_region, iou)):
        value = by_region(prediction, truth)
        assert value.shape == (3, 2)
        for region in range(2):
            alone = single(prediction[:, region : region + 1], truth[:, region : region + 1])
            torch.testing.assert_close(value[:, region], alone)


def test_a_metric_of_one_mask_refuses_several_regions() -> None:
    with pytest.raises(ValueError, match=r"both must be \(cases, 1, \*space\)"):
        dice(torch.ones(1, 2, 3, 3), torch.ones(1, 2, 3, 3))


def test_the_soft_dice_of_probabilities_is_the_formula_without_squares() -> None:
    probability, truth = torch.tensor([[[0.8, 0.4, 0.1]]]), torch.tensor([[[1.0, 1.0, 0.0]]])
    assert soft_dice(probability, truth).item() == pytest.approx(2 * 1.2 / (1.3 + 2))


def test_the_soft_dice_of_hard_masks_is_the_hard_one() -> None:
    prediction, truth = (random_masks(4, 2, 5, 4, 3, seed=seed) for seed in (2, 3))
    prediction[0, 0] = truth[0, 0] = 0
    torch.testing.assert_close(soft_dice(prediction, truth), dice_by_region(prediction, truth))


def test_the_soft_dice_of_logits_is_refused() -> None:
    with pytest.raises(ValueError, match="apply a sigmoid"):
        soft_dice(torch.full((1, 1, 2, 2), 3.0), torch.ones(1, 1, 2, 2))


def surface(mask: torch.Tensor) -> list[tuple[int, ...]]:
    """Voxels of a mask (D, H, W) that have a face to the outside, by a slow loop."""
    inside = {tuple(i) for i in mask.nonzero().tolist()}
    steps = [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]
    return [
        v for v in inside if any((v[0] + a, v[1] + b, v[2] + c) not in inside for a, b, c in steps)
    ]


def test_the_hausdorff_distance_is_that_of_a_slow_loop_in_millimetres() -> None:
    spacing = (3.0, 1.0, 0.5)
    prediction, truth = (random_masks(1, 2, 5, 6, 7, seed=seed, share=0.15) for seed in (4, 5))
    value = hausdorff_95(prediction, truth, spacing)
    assert value.shape == (1, 2)
    for region in range(2):
        first, second = (surface(mask[0, region]) for mask in (prediction, truth))
        scale = np.array(spacing)
        far = np.linalg.norm((np.array(first)[:, None] - np.array(second)) * scale, axis=-1)
        expected = max(np.percentile(far.min(1), 95), np.percentile(far.min(0), 95))
        assert value[0, region].item() == pytest.approx(expected, abs=1e-5)


def test_a_shifted_box_is_as_far_as_it_was_shifted() -> None:
    truth = torch.zeros(1, 1, 12, 12, 12)
    truth[..., 2:6, 2:6, 2:6] = 1
    assert hausdorff_95(truth, truth, (2.0, 1.0, 1.0)).item() == 0
    shifted = truth.roll(3, dims=2)
    assert hausdorff_95(shifted, truth, (2.0, 1.0, 1.0)).item() == pytest.approx(6.0)


def test_an_empty_mask_is_a_diagonal_away_from_one_that_is_not_and_at_another_empty_one() -> None:
    empty = torch.zeros(1, 1, 155, 240, 240, dtype=torch.uint8)
    one = empty.clone()
    one[..., 70, 100, 100] = 1
    spacing = (1.0, 1.0, 1.0)
    assert hausdorff_95(empty, empty, spacing).item() == 0
    assert hausdorff_95(empty, one, spacing).item() == pytest.approx(373.13, abs=0.005)
    assert hausdorff_95(one, empty, spacing).item() == pytest.approx(373.13, abs=0.005)


def test_a_spacing_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"spacing \(1.0, 1.0\) does not fit"):
        hausdorff_95(torch.ones(1, 1, 2, 2, 2), torch.ones(1, 1, 2, 2, 2), (1.0, 1.0))


def test_outliers_of_a_distance_are_the_cases_above_the_upper_fence_the_worst_first() -> None:
    values = {f"case {i}": 3.0 + 0.1 * i for i in range(9)} | {"bad": 40.0, "worse": 50.0, "0": 0.0}
    summary = summarise(values, bad="high")
    assert list(summary.outliers) == ["worse", "bad"]
    assert summary.fence == pytest.approx(summary.q3 + 1.5 * (summary.q3 - summary.q1))


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


def test_windows_give_what_a_network_that_sees_one_voxel_gives_for_the_whole() -> None:
    network = nn.Conv3d(2, 3, 1)
    images = torch.randn(2, 2, 12, 9, 20)
    whole = probabilities(network, images)
    assert whole.shape == (2, 3, 12, 9, 20)
    windows = probabilities(network, images, batch_size=3, window=(8, 16, 8))
    torch.testing.assert_close(windows, whole)


def test_no_window_is_larger_than_asked_and_small_images_go_through_whole() -> None:
    sizes: list[tuple[int, ...]] = []

    class Watching(nn.Conv3d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            sizes.append(tuple(x.shape[2:]))
            return super().forward(x)

    network = Watching(1, 1, 3, padding=1)
    probabilities(network, torch.rand(1, 1, 12, 12, 12), window=(12, 16, 12))
    assert sizes == [(12, 12, 12)]
    sizes.clear()
    probabilities(network, torch.rand(1, 1, 12, 20, 12), window=(16, 16, 8))
    assert set(sizes) == {(12, 16, 8)}


def test_a_window_of_other_dimensions_is_refused() -> None:
    with pytest.raises(ValueError, match=r"window \(8, 8\) does not fit"):
        probabilities(nn.Conv3d(1, 1, 1), torch.rand(1, 1, 4, 4, 4), window=(8, 8))
