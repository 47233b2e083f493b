"""What the networks of all studies are asked: whether they exist, and how large they are."""

from collections.abc import Collection, Sequence
from math import inf

from torch import nn

from experiments.common.errors import UserError


def require_network(name: str, networks: Collection[str]) -> None:
    """Raises a `UserError` that names the networks there are, if this is none of them."""
    if name not in networks:
        raise UserError(f"--network {name}: unknown; choose from {', '.join(networks)}")


def require_channels(channels: Sequence[int] | None, most: float, example: str) -> None:
    """Raises a `UserError` unless there is a positive width for each of 2 to `most` levels."""
    if channels is not None and (not 2 <= len(channels) <= most or min(channels) < 1):
        number = "two or more" if most == inf else f"2 to {most}"
        raise UserError(
            f"--channels {' '.join(map(str, channels))}: give {number} positive widths, for "
            f"example {example}"
        )


def parameters(network: nn.Module) -> int:
    """Number of trained values."""
    return sum(parameter.numel() for parameter in network.parameters())
