"""Filters that turn by 90° and mirror exactly as functions of one angular frequency do."""

from __future__ import annotations

import torch
from torch import Tensor

from gcnn.geometry import grid_points, mirror, rotation, transform


def lattice_harmonics(kernel_size: int, frequency: int) -> Tensor:
    """An orthonormal basis of the k×k filters with `b(R₉₀ y) = iⁿ b(y)` and `b(y mirrored) = b*`.

    These are the filters that a rotation by 90° multiplies by `exp(-in·90°)` exactly, pixel by
    pixel. Real combinations of the columns keep both properties.

    Returns:
        `(k², F)` complex128; F is about k²/4.
    """
    places = grid_points((kernel_size, kernel_size)).flatten(0, 1)
    angle = torch.atan2(places[:, 1], places[:, 0])
    columns = []
    for orbit, mirrored in _orbits(kernel_size):
        if len(orbit) == 1 and frequency % 4:
            continue  # The centre pixel does not turn.
        wave = torch.exp(1j * frequency * angle)
        one, other = _only(wave, orbit), _only(wave, mirrored)
        columns += [one] if orbit == mirrored else [one + other, 1j * (one - other)]
    if not columns:
        return torch.zeros(kernel_size**2, 0, dtype=torch.complex128)
    basis = torch.stack(columns, dim=1)
    norms: Tensor = torch.linalg.vector_norm(basis, dim=0)
    return basis / norms


def _orbits(kernel_size: int) -> list[tuple[list[int], list[int]]]:
    """Sets of pixels that 90° turns map to each other, each with its mirror image."""
    index = torch.arange(kernel_size**2, dtype=torch.float64).view(kernel_size, kernel_size)
    turned = torch.stack([transform(index, rotation(90 * k)) for k in range(4)]).flatten(1).long()
    flipped = transform(index, mirror(0)).flatten().long()
    orbits: list[tuple[list[int], list[int]]] = []
    seen: set[int] = set()
    for pixel in range(kernel_size**2):
        if pixel not in seen:
            orbit = sorted(set(turned[:, pixel].tolist()))
            mirrored = sorted(set(flipped[orbit].tolist()))
            seen.update(orbit, mirrored)
            orbits.append((orbit, mirrored))
    return orbits


def _only(wave: Tensor, pixels: list[int]) -> Tensor:
    column = torch.zeros_like(wave)
    column[pixels] = wave[pixels]
    return column
