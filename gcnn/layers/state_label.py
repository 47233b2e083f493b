"""What a state says about its weights: the group, the basis and the kernel size they belong to.

Weights of one layer often fit the shape of another and mean something else there. The label is a
tensor of bytes, so that it survives every file format and every copy of a state.
"""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import Tensor, nn

from gcnn.filters import Basis
from gcnn.geometry import ordinary_tensors
from gcnn.groups import Group

# Labels are the same up to this, and those of other functions are not.
_SAME = 1e-5


@ordinary_tensors()
def label(group: Group, basis: Basis, kernel_size: int) -> Tensor:
    """The label of weights, `(bytes,)` uint8: names to print, and numbers to compare."""
    found = {
        "group": repr(group),
        "basis": repr(basis),
        "kernel_size": kernel_size,
        "fingerprint": _fingerprint(group, basis, kernel_size),
    }
    return torch.tensor(list(json.dumps(found).encode()), dtype=torch.uint8)


def disagreement(found: Tensor, own: Tensor) -> str | None:
    """Why weights with the label `found` do not belong to a layer with the label `own`.

    Returns:
        What to tell the user, or None if they do belong there.
    """
    if found.is_meta:
        return None
    ours = _read(own)
    try:
        theirs = _read(found)
    except (ValueError, KeyError):
        return "the label of the weights (_extra_state) is damaged; remove it to load them anyway"
    pairs = zip(theirs["fingerprint"], ours["fingerprint"], strict=True)
    if all(abs(one - other) <= _SAME * (1 + abs(other)) for one, other in pairs):
        return None
    return (
        f"the weights are those of {_named(theirs)}, this layer is on {_named(ours)}; build the "
        "network in the same way, or, for another window of the same scales, load into a network "
        "of that group and use layers.rewindow"
    )


def _named(label: dict[str, Any]) -> str:
    return f"{label['group']} with {label['basis']} and kernel_size={label['kernel_size']}"


def _read(label: Tensor) -> dict[str, Any]:
    # Averages of states have labels that are not whole numbers any more.
    whole = label.cpu().double().round().clamp(0, 255).to(torch.uint8)
    read: dict[str, Any] = json.loads(bytes(whole.tolist()).decode())
    if len(read["fingerprint"]) != len(_WAVES):
        raise ValueError("not a label")
    _named(read)
    return read


_WAVES = (2**0.5, 3**0.5, 5**0.5)


def _fingerprint(group: Group, basis: Basis, kernel_size: int) -> list[float]:
    """Numbers that differ where elements, their order, neighbours or functions do."""
    parts = [group.matrices, group.relative_matrices]
    if not isinstance(basis, nn.Module):  # The parameters of a learned basis are in the state.
        parts.append(basis.sample(group.matrices, kernel_size))
    values = torch.cat([part.flatten() for part in parts])
    places = torch.arange(1, len(values) + 1, dtype=torch.float64)
    return [float((values * (places * wave).cos()).sum() / len(values) ** 0.5) for wave in _WAVES]
