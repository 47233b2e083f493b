"""Which matrix of a list is which, up to rounding error."""

from __future__ import annotations

import torch
from torch import Tensor

from gcnn.geometry.tensor_construction import ordinary_tensors

_SAME = 1e-6


@ordinary_tensors()
def find(wanted: Tensor, among: Tensor) -> Tensor:
    """Where each matrix stands in a list: the first whose entries all differ by less than 1e-6.

    The matrices of the list are sorted along one direction of their space, in which matrices that
    close lie within 1e-6 of each other too. Only those are compared, entry by entry, so n matrices
    are found among m in the order of (n + m) log m steps, and in as much memory as they take.

    >>> from gcnn.geometry import mirror, rotation
    >>> among = torch.stack([rotation(0), rotation(90)])
    >>> find(torch.stack([rotation(450), mirror()]), among).tolist()
    [1, -1]

    Args:
        wanted: `(n, d, d)`.
        among: `(m, d, d)`.

    Returns:
        `(n,)` indices into `among`, -1 for what is not in it.
    """
    wanted, among = wanted.flatten(1), among.flatten(1)
    position, order = _along_a_line(among).sort(stable=True)
    places = _along_a_line(wanted)
    # Twice as wide as matrices that are the same can be apart, to leave room for rounding error.
    first = torch.searchsorted(position, places - 2 * _SAME)
    after = torch.searchsorted(position, places + 2 * _SAME, right=True)
    found = torch.full_like(first, len(among))
    for step in range(int((after - first).max()) if len(wanted) else 0):
        near = (first + step < after).nonzero().flatten()
        candidate = order[first[near] + step]
        same = ((wanted[near] - among[candidate]).abs() < _SAME).all(dim=1)
        near, candidate = near[same], candidate[same]
        found[near] = torch.minimum(found[near], candidate)
    return torch.where(found < len(among), found, -1)


def _along_a_line(vectors: Tensor) -> Tensor:
    """The component of vectors along a fixed direction, in which elements of a group rarely meet.

    The direction's entries add up to 1, so vectors are no further apart along it than in the entry
    that differs most.
    """
    direction = torch.arange(1, vectors.shape[1] + 1, dtype=vectors.dtype).sqrt()
    return vectors @ (direction / direction.sum())
