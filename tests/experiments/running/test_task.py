import math

import pytest
import torch
from torch import Tensor, nn

from experiments.running.task import SegmentationTask


def sigmoid_dice_plus_cross_entropy(logits: Tensor, mask: Tensor) -> float:
    """The definition, written out case by case."""
    dice_losses, entropies = [], []
    for case_logits, case_mask in zip(logits.flatten(2), mask.flatten(2), strict=True):
        for channel_logits, truth in zip(case_logits, case_mask, strict=True):
            p = 1 / (1 + torch.exp(-channel_logits))
            dice_losses.append(1 - (2 * (p * truth).sum() + 1) / (p.sum() + truth.sum() + 1))
            entropies.append(-(truth * p.log() + (1 - truth) * (1 - p).log()).mean())
    return float(torch.stack(dice_losses).mean() + torch.stack(entropies).mean())


@pytest.mark.parametrize("space", [(6, 4), (4, 3, 5)])
@pytest.mark.parametrize("classes", [1, 3])
def test_the_loss_is_soft_dice_plus_cross_entropy_of_every_channel(space, classes):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, classes, *space, generator=generator)
    mask = (torch.rand(2, classes, *space, generator=generator) < 0.4).float()
    loss = SegmentationTask(nn.Identity()).loss(logits, mask)
    assert float(loss) == pytest.approx(sigmoid_dice_plus_cross_entropy(logits, mask), rel=1e-5)


def test_the_loss_is_computed_in_float32_when_the_network_computes_in_bfloat16():
    logits = torch.randn(1, 1, 4, 4, dtype=torch.bfloat16)
    assert (
        SegmentationTask(nn.Identity()).loss(logits, torch.ones(1, 1, 4, 4)).dtype == torch.float32
    )


def validation_scores(logits: Tensor, mask: Tensor) -> dict[str, Tensor]:
    task = SegmentationTask(nn.Identity())
    logged: dict[str, Tensor] = {}
    task.log_dict = lambda values, **_: logged.update(values)
    task.validation_step({"image": logits, "mask": mask}, 0)
    return logged


def test_the_validation_score_is_the_mean_dice_of_the_hard_masks():
    mask = torch.zeros(2, 1, 2, 4)
    mask[0, 0, 0] = 1
    logits = torch.full((2, 1, 2, 4), -0.1)
    logits[0, 0, :, 0] = 0.1  # one of four pixels right, one wrong: 2 * 1 / (4 + 2)
    mask[1, 0, 1, :2] = 1
    logits[1, 0, 1, :2] = 0.1  # all right
    assert float(validation_scores(logits, mask)["validation/dice"]) == pytest.approx(
        (1 / 3 + 1) / 2
    )


def test_an_empty_mask_left_empty_scores_one_and_a_false_alarm_zero():
    empty = torch.zeros(1, 1, 4, 4)
    assert float(validation_scores(empty - 1, empty)["validation/dice"]) == 1
    assert float(validation_scores(empty + 1, empty)["validation/dice"]) == 0


def test_the_learning_rate_falls_along_half_a_cosine():
    task = SegmentationTask(nn.Conv2d(1, 1, 1), learning_rate=0.1, max_epochs=4)
    configured = task.configure_optimizers()
    optimiser, schedule = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(4):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    half = math.sqrt(0.5)
    assert rates == pytest.approx([0.1, 0.05 * (1 + half), 0.05, 0.05 * (1 - half)])


@pytest.mark.parametrize("space", [(7, 5), (6, 9, 5)])
def test_large_images_are_validated_through_windows_and_small_ones_as_a_whole(space):
    class Pointwise(nn.Module):
        """Remembers the sizes that it saw."""

        def __init__(self):
            super().__init__()
            self.sizes = []

        def forward(self, image):
            self.sizes.append(image.shape[2:])
            return 2 * image

    image = torch.randn(1, 1, *space)
    mask = (image > 0).float()
    for window, largest in ((4, 4), (max(space), max(space)), (None, max(space))):
        task = SegmentationTask(network := Pointwise(), window=window)
        logged: dict[str, Tensor] = {}
        task.log_dict = lambda values, into=logged, **_: into.update(values)
        task.validation_step({"image": image, "mask": mask}, 0)
        assert max(max(size) for size in network.sizes) == largest
        assert float(logged["validation/dice"]) == 1
