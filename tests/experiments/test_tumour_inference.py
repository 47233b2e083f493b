"""Probabilities for volumes of any size."""

import pytest
import torch
from torch import Tensor, nn

from experiments.tumour.inference import LARGEST, choose_tile, pad_to_multiple, segment


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


@pytest.mark.parametrize("size", [(16, 16, 32), (5, 9, 23), (1, 1, 1), (3, 8, 40), (16, 16, 16)])
def test_a_volume_of_any_size_comes_back_at_its_own_size_and_place(
    size: tuple[int, int, int],
) -> None:
    image = torch.randn(3, *size)
    found = segment(Strict(), image)
    expected = torch.stack([image.sum(0), -image.sum(0)]).sigmoid()
    torch.testing.assert_close(found, expected)


def test_large_volumes_are_seen_through_tiles() -> None:
    network, image = Strict(), torch.randn(1, 50, 12, 17)
    torch.testing.assert_close(segment(network, image, tile=32)[0], image[0].sigmoid())
    assert set(network.seen) == {(32, 16, 32)}


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
    note = capsys.readouterr().err
    assert bool(note) == noted
    if noted:
        trained = "whole volumes" if patch is None else f"cubes of {patch} voxels"
        assert f"trained on {trained}; through cubes of {asked} " in note


def test_padding_is_even_and_with_zeros() -> None:
    padded, place = pad_to_multiple(torch.ones(2, 5, 9, 6), 8)
    assert padded.shape == (2, 8, 16, 8)
    assert place == (..., slice(1, 6), slice(3, 12), slice(1, 7))
    assert padded.sum() == 2 * 5 * 9 * 6 and bool((padded[place] == 1).all())
