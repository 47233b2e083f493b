"""Probabilities in eval mode, whole or through windows."""

import pytest
import torch
from torch import nn

from experiments.common.inference import probabilities


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
