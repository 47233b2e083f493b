"""Overlaps and distances, against closed forms and slow loops."""

import math

import numpy as np
import pytest
import torch

from experiments.results.metrics import dice, hausdorff_95, overlap, scores, soft_dice


def masks(*rows: str) -> torch.Tensor:
    """One case of shape (1, 1, rows, columns) from strings of 0 and 1."""
    return torch.tensor([[int(c) for c in row] for row in rows], dtype=torch.float32)[None, None]


def test_half_overlapping_masks_have_their_closed_form() -> None:
    found = overlap(masks("1110", "0000"), masks("0110", "1100"))
    values = {name: value.item() for name, value in found.items()}
    assert values == pytest.approx(
        {"dice": 2 * 2 / 7, "iou": 2 / 5, "precision": 2 / 3, "recall": 2 / 4, "found": 3}
    )


@pytest.mark.parametrize(
    ("prediction", "truth", "expected"),
    [
        ("00", "00", {"dice": 1, "iou": 1, "precision": math.nan, "recall": math.nan, "found": 0}),
        ("00", "11", {"dice": 0, "iou": 0, "precision": math.nan, "recall": 0, "found": 0}),
        ("11", "00", {"dice": 0, "iou": 0, "precision": 0, "recall": math.nan, "found": 2}),
    ],
)
def test_empty_masks_follow_the_conventions(
    prediction: str, truth: str, expected: dict[str, float]
) -> None:
    found = overlap(masks(prediction), masks(truth))
    assert {k: v.item() for k, v in found.items()} == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("space", [(7, 6), (4, 5, 3)])
def test_every_case_and_region_has_the_value_of_a_slow_loop(space: tuple[int, ...]) -> None:
    prediction, truth = (random_masks(3, 2, *space, seed=seed) for seed in (0, 1))
    found = overlap(prediction, truth)
    for case in range(3):
        for region in range(2):
            a, b = (
                {tuple(i) for i in mask[case, region].nonzero().tolist()}
                for mask in (prediction, truth)
            )
            expected = {
                "dice": 2 * len(a & b) / (len(a) + len(b)),
                "iou": len(a & b) / len(a | b),
                "precision": len(a & b) / len(a),
                "recall": len(a & b) / len(b),
                "found": len(a),
            }
            values = {name: value[case, region].item() for name, value in found.items()}
            assert values == pytest.approx(expected)


def test_probabilities_are_cut_at_one_half_and_distances_need_a_spacing() -> None:
    probability, truth = torch.tensor([[[[0.9, 0.51, 0.5]]]]), torch.tensor([[[[1.0, 0.0, 1.0]]]])
    assert "hausdorff_95" not in scores(probability, truth)
    found = scores(probability, truth, (1.0, 2.0))
    assert found["dice"].item() == pytest.approx(2 / 4)
    assert found["soft_dice"].item() == pytest.approx(2 * 1.4 / (1.91 + 2))
    assert found["hausdorff_95"].item() == pytest.approx(1.9)


def random_masks(*shape: int, seed: int, share: float = 0.5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(shape, generator=generator) < share).float()


def test_the_soft_dice_of_probabilities_is_the_formula_without_squares() -> None:
    probability, truth = torch.tensor([[[0.8, 0.4, 0.1]]]), torch.tensor([[[1.0, 1.0, 0.0]]])
    assert soft_dice(probability, truth).item() == pytest.approx(2 * 1.2 / (1.3 + 2))


def test_the_soft_dice_of_hard_masks_is_the_hard_one() -> None:
    prediction, truth = (random_masks(4, 2, 5, 4, 3, seed=seed) for seed in (2, 3))
    prediction[0, 0] = truth[0, 0] = 0
    torch.testing.assert_close(soft_dice(prediction, truth), dice(prediction, truth))


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
