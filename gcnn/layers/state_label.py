"""What a state says about its weights: the group, the basis and the window they belong to.

Weights of one group often fit the shape of another's and mean something else there. The label is
a tensor of bytes, so that it survives every file format and every copy of a state.
"""

from __future__ import annotations

import hashlib
import json

import torch
from torch import Tensor

from gcnn.filters import Basis
from gcnn.groups import Group

# Elements that differ by less are the same in every table.
_DIGITS = 2**16


def label(group: Group, basis: Basis) -> Tensor:
    """The label of weights on a group, `(bytes,)` uint8."""
    elements = (group.matrices * _DIGITS).round().long().tolist()
    neighbours = (group.relative_matrices * _DIGITS).round().long().tolist()
    names = {
        "group": repr(group),
        "basis": repr(basis),
        "elements": hashlib.sha256(repr((elements, neighbours)).encode()).hexdigest()[:16],
    }
    return torch.tensor(list(json.dumps(names).encode()), dtype=torch.uint8, device="cpu")


def disagreement(found: Tensor, own: Tensor) -> str | None:
    """Why weights with the label `found` do not belong to a layer with the label `own`.

    Returns:
        What to tell the user, or None if they do belong there.
    """
    theirs, ours = _read(found), _read(own)
    if theirs["elements"] == ours["elements"] and theirs["basis"] == ours["basis"]:
        return None
    return (
        f"the weights are those of {theirs['group']} with {theirs['basis']}, this layer is on "
        f"{ours['group']} with {ours['basis']}; build the network on the same group, or, for "
        "another window of the same scales, load into a network of that group and use "
        "layers.rewindow"
    )


def _read(label: Tensor) -> dict[str, str]:
    names: dict[str, str] = json.loads(bytes(label.to("cpu", torch.uint8).tolist()).decode())
    return names
