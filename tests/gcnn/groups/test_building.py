"""Groups can be built anywhere: their tables are ordinary tensors on the CPU."""

import pytest
import torch

from gcnn import groups
from tests.gcnn.cases import cube


def test_a_group_can_be_built_while_inference_mode_is_on_and_used_outside():
    with torch.inference_mode():
        group = cube()
    assert not group.matrices.is_inference()
    assert not group.relative.is_inference()


@pytest.mark.parametrize("make", [groups.P4M, cube, lambda: groups.SteerableSE2(8)])
def test_a_group_lives_on_the_cpu_whatever_the_default_device(make):
    with torch.device("meta"):
        group = make()
    assert group.matrices.device.type == group.product.device.type == "cpu"
    assert group.is_closed
