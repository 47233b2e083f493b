"""How many numbers are multiplied, counted operation by operation."""

from functools import partial

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from gcnn import groups
from gcnn.kernels.axis_by_axis.choice import Problem
from gcnn.layers import GroupConv
from gcnn.models import UNet
from tests.gcnn.kernels.axis_by_axis.forced import by_axes

SCALES = groups.ScaleTranslation([0.9**i for i in range(4)], 3)


class Multiplications(TorchDispatchMode):
    """Counts those of convolutions and of products of matrices, on "meta" without doing them."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        match operation.__name__.split(".")[0]:
            case "mm" | "bmm":
                self.count += args[0].numel() * args[1].shape[-1]
            case "addmm_" | "baddbmm_":
                self.count += args[1].numel() * args[2].shape[-1]
            case "convolution":
                transposed = args[6]
                self.count += (args[0] if transposed else result).numel() * args[1][0].numel()
            case "convolution_backward":
                gradient, x, weight, transposed = *args[:3], args[7]
                each = (x if transposed else gradient).numel() * weight[0].numel()
                self.count += sum(args[-1][:2]) * each
        return result


CONVOLVING = {"block": "residual", "downsampling": "strided", "upsampling": "transposed"}
SCALE_UNET = partial(UNet, 4, 1, SCALES, (4, 8, 16), kernel_size=7, **CONVOLVING)
PLAIN_UNET = partial(UNet, 4, 1, None, (16, 32, 64), dim=3, **CONVOLVING)


def in_a_step(unet, autocast=False):
    with torch.device("meta"):
        network = unet()
        x = torch.empty(2, 4, 48, 64, 48)
    with (
        Multiplications() as counted,
        torch.autocast("cpu", torch.bfloat16, enabled=autocast),
    ):
        network(x).sum().backward()
    return counted.count


def test_a_step_of_a_scale_unet_multiplies_less_than_one_of_the_plain_unet_of_its_width():
    assert in_a_step(SCALE_UNET) < in_a_step(PLAIN_UNET)


def test_autocast_multiplies_as_much_as_float32():
    assert in_a_step(SCALE_UNET, autocast=True) == in_a_step(SCALE_UNET)


@pytest.mark.parametrize("expanded", [0, 1, 2])
@pytest.mark.parametrize("window", [(7, 1, 3), (14, 2, 6)], ids=str)
def test_the_cost_model_counts_what_is_multiplied(expanded, window):
    """But for the ends of an axis, where tiles are shorter and windows hold fewer pixels."""
    kernel_size, stride, padding = window
    layer = GroupConv(SCALES, 4, 8, kernel_size, stride, padding, bias=False, device="meta")
    x = torch.empty(2, 4, 4, 40, 72, 48, device="meta")
    told = []
    original = Problem.multiplications
    with pytest.MonkeyPatch.context() as patch, by_axes(expanded), Multiplications() as counted:
        patch.setattr(
            Problem,
            "by_axes",
            lambda problem, way: (
                told.append((len(way.trees[0].axes), original(problem, way)))
                or abs(len(way.trees[0].axes) - expanded)
            ),
        )
        layer(x)
    assert dict(told)[expanded] == pytest.approx(counted.count, rel=0.1)


def test_dense_filters_multiply_several_times_as_much():
    layer = GroupConv(SCALES, 8, 8, 7, padding="same", bias=False, device="meta")
    x = torch.empty(1, 8, 4, 32, 32, 32, device="meta")
    with Multiplications() as counted:
        layer(x)
    assert 5 * counted.count < 8 * x.numel() * 7**3
