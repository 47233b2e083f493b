"""Probabilities in eval mode, whole or through windows, for images and volumes of any size."""

import pytest
import torch
from torch import Tensor, nn

from experiments.common.errors import UserError
from experiments.common.inference import LARGEST, choose_tile, probabilities, segment


class Strict(nn.Module):
    """Two regions from the sum of the modalities; halves four times, and normalises then."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, ...]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(tuple(x.shape[2:]))
        if any(n % 16 for n in x.shape[2:]) or max(x.shape[2:]) == 16:
            raise ValueError(f"sizes {tuple(x.shape)}")
        total = x.sum(1, keepdim=True)
        return torch.cat([total, -total], dim=1)


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
    windows = probabilities(network, images, batch_size=3, window=8)
    torch.testing.assert_close(windows, probabilities(network, images))


@pytest.mark.parametrize("size", [(16, 16, 32), (5, 9, 23), (1, 1, 1), (3, 8, 40), (16, 16, 16)])
def test_a_volume_of_any_size_comes_back_at_its_own_size_and_place(
    size: tuple[int, int, int],
) -> None:
    image = torch.randn(3, *size)
    expected = torch.stack([image.sum(0), -image.sum(0)]).sigmoid()
    torch.testing.assert_close(segment(Strict(), image), expected)


@pytest.mark.parametrize(("tile", "sizes"), [(32, (32, 16, 32)), (64, (64, 16, 32))])
def test_large_volumes_are_seen_through_tiles_and_small_ones_whole(
    tile: int, sizes: tuple[int, ...]
) -> None:
    network, image = Strict(), torch.randn(1, 50, 12, 17)
    torch.testing.assert_close(segment(network, image, tile)[0], image[0].sigmoid())
    assert set(network.seen) == {sizes}


@pytest.mark.parametrize(
    ("asked", "patch", "edge", "noted"),
    [
        (None, None, LARGEST, False),
        (None, 32, 32, False),
        (32, 32, 32, False),
        (2 * LARGEST, None, 2 * LARGEST, False),
        (64, 32, 64, True),
        (64, None, 64, True),
    ],
)
def test_other_tiles_than_those_of_the_training_are_possible_and_noted(
    asked: int | None, patch: int | None, edge: int, noted: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert choose_tile(asked, patch) == edge
    trained = "whole volumes" if patch is None else f"cubes of {patch} voxels"
    assert (f"trained on {trained}; through cubes of {asked} " in capsys.readouterr().err) == noted


@pytest.mark.parametrize("tile", [0, 20, -16])
def test_tiles_that_no_network_takes_are_refused(tile: int) -> None:
    with pytest.raises(UserError, match=f"--tile {tile}: must be a multiple of 16"):
        choose_tile(tile, None)
