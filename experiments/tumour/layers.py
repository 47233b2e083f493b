"""Where in a network the equivariance to scaling is lost, layer by layer."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from torch import nn

from gcnn.equivariance import Blobs, layer_errors
from gcnn.groups import ScaleTranslation

__all__ = ["SCALINGS", "layer_tables"]

SCALINGS = (1.0, 0.9, 0.81, 0.729)
"""By which every network is measured that has no scalings of its own."""

_SIZE = 48


def layer_tables(network: nn.Module, modalities: int) -> list[dict[str, Any]]:
    """The error of every layer for each scaling but the identity, as plain data.

    Measured on smooth random blobs that are scaled analytically, so that the input is free of
    interpolation error; see `gcnn.equivariance.layer_errors`. The maps of an ordinary network are
    plain images, and are compared as such with the same scalings.

    Args:
        network: from volumes (B, M, D, H, W) to logits.
        modalities: M.

    Returns:
        For each scaling its `factor` and the `rows`: name, kind and shape of the output of a layer,
        the `error` of the network up to there, the layer's `own`, and the `floor`.
    """
    own = getattr(network, "group", None)
    group = own if isinstance(own, ScaleTranslation) else ScaleTranslation(SCALINGS, dim=3)
    blobs = Blobs(size=_SIZE, channels=modalities, batch=1, dim=3)
    tables = []
    for element, scale in enumerate(group.scales):
        if scale != 1:
            rows = layer_errors(network, group, blobs, element).rows
            tables.append({"factor": scale, "rows": [_plain(asdict(row)) for row in rows]})
    return tables


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("name", "kind", "shape", "error", "own", "floor")}
