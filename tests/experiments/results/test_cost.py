"""Parameters and multiply-accumulates against closed forms, and a sane time ratio."""

import torch
from torch import nn

from experiments.results.cost import cost_of


def test_a_convolution_costs_what_the_closed_form_says() -> None:
    network = nn.Conv2d(3, 8, 3, padding=1)
    cost = cost_of(network, nn.Conv2d(3, 8, 3, padding=1), torch.rand(2, 3, 16, 12))
    assert cost["parameters"] == 8 * 3 * 9 + 8
    assert cost["multiply_accumulates"] == 8 * 3 * 9 * 16 * 12


def test_a_slower_network_has_a_ratio_above_one() -> None:
    images = torch.rand(2, 3, 48, 48)
    slow = nn.Sequential(nn.Conv2d(3, 64, 7), nn.Conv2d(64, 64, 7))
    cost = cost_of(slow, nn.Conv2d(3, 1, 1), images)
    assert cost["ratio"] > 2 and cost["milliseconds"] > cost["reference_milliseconds"] > 0


def test_the_networks_are_measured_in_eval_mode() -> None:
    network = nn.Sequential(nn.Conv2d(3, 1, 1), nn.BatchNorm2d(1))
    cost_of(network.train(), nn.Conv2d(3, 1, 1), torch.rand(2, 3, 8, 8))
    assert not network.training
    assert network[1].num_batches_tracked == 0
