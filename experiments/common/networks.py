"""What the networks of all studies are asked: whether they exist, and how large they are."""

from collections.abc import Collection

from torch import nn

from experiments.common.errors import UserError


def require_network(name: str, networks: Collection[str]) -> None:
    """Raises a `UserError` that names the networks there are, if this is none of them."""
    if name not in networks:
        raise UserError(f"--network {name}: unknown; choose from {', '.join(networks)}")


def parameters(network: nn.Module) -> int:
    """Number of trained values."""
    return sum(parameter.numel() for parameter in network.parameters())
