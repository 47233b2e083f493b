"""Which matrix of a list is which, up to rounding error."""

import torch

from gcnn.geometry import find, mirror, rotation


def test_find_gives_the_place_or_minus_one():
    among = torch.stack([rotation(0), rotation(90), mirror()])
    wanted = torch.stack([mirror(), rotation(45), rotation(0), rotation(90 + 1e-9)])
    assert find(wanted, among).tolist() == [2, -1, 0, 1]
