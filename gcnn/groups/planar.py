"""The groups of the plane: rotations, and rotations with mirrors."""

from __future__ import annotations

from torch import Tensor

from gcnn.filters import Basis, OptimalSteerable, Pixels
from gcnn.geometry import mirror, rotation
from gcnn.groups.group import Group
from gcnn.groups.tables import generate


class P4(Group):
    """The four rotations by multiples of 90°, exact on the grid, with pixels as filters.

    Cohen and Welling, "Group equivariant convolutional networks", ICML 2016.

    >>> P4().order, P4().product[1].tolist()  # a quarter turn after each element
    (4, [1, 2, 3, 0])
    """

    def __init__(self) -> None:
        super().__init__(generate(rotation(90)), Pixels(), "P4()")


class P4M(Group):
    """The rotations by 90° and the mirrors, exact: elements 0-3 turn, 4-7 mirror and turn.

    >>> import torch
    >>> mirrored = P4M().act(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), 4)
    >>> mirrored.tolist()
    [[[[2.0, 1.0], [4.0, 3.0]]]]
    """

    def __init__(self) -> None:
        super().__init__(generate(rotation(90), mirror()), Pixels(), "P4M()")


class SE2(Group):
    """N rotations by 360°/N, filters turned by bilinear interpolation between their pixels.

    Bekkers et al., "Roto-translation covariant convolutional networks for medical image
    analysis", MICCAI 2018.

    >>> group = SE2(8)
    >>> group.order, group.basis
    (8, Pixels(disc=False))

    Args:
        n: how many rotations; multiples of 4 contain the exact ones by 90°.
        basis: another basis for the filters.
    """

    def __init__(self, n: int, basis: Basis | None = None) -> None:
        basis, name = _basis_and_name(self, n, basis, Pixels())
        super().__init__(_rotations(n), basis, name)


class SteerableSE2(Group):
    """N rotations by 360°/N, filters turned analytically (no interpolation).

    >>> from gcnn.filters import CircularHarmonics
    >>> SteerableSE2(12, CircularHarmonics()).basis
    CircularHarmonics(max_frequency=3, width=0.6, outer_width=0.4)

    Args:
        n: how many rotations; multiples of 4 contain the exact ones by 90°.
        basis: the steerable basis; `filters.OptimalSteerable()` unless given.
    """

    def __init__(self, n: int, basis: Basis | None = None) -> None:
        basis, name = _basis_and_name(self, n, basis, OptimalSteerable())
        super().__init__(_rotations(n), basis, name)


class Dihedral(Group):
    """D_N: N rotations and N mirrors, filters moved analytically; order 2N.

    >>> Dihedral(8).order
    16

    Args:
        n: how many rotations; elements 0 to n-1 turn, n to 2n-1 mirror and turn.
        basis: the steerable basis; `filters.OptimalSteerable()` unless given.
    """

    def __init__(self, n: int, basis: Basis | None = None) -> None:
        matrices = [*_rotations(n), *(turn @ mirror() for turn in _rotations(n))]
        basis, name = _basis_and_name(self, n, basis, OptimalSteerable())
        super().__init__(matrices, basis, name)


def _basis_and_name(group: Group, n: int, basis: Basis | None, default: Basis) -> tuple[Basis, str]:
    """The basis, and the call that rebuilds the group: a basis is named where it is another."""
    basis = default if basis is None else basis
    arguments = f"{n}" if basis == default else f"{n}, {basis!r}"
    return basis, f"{type(group).__name__}({arguments})"


def _rotations(n: int) -> list[Tensor]:
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"the number of rotations must be a positive integer, got {n!r}")
    return [rotation(360 * k / n) for k in range(n)]
