"""From weights to filters: the formulas on which every convolution here rests.

Each takes weights `(out, in, ...)` between every pair of an input and an output field, and tables,
and gives the filters of an ordinary convolution.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def product(weight: Tensor, table: Tensor) -> Tensor:
    """`filter[o, a, i, b] = Σ_p weight[o, i, p] · table[p, a, b]`: any linear choice of filters.

    Args:
        weight: `(out, in, ...)`, P numbers for every pair of fields.
        table: `(P, A, B, *kernel)`: filter p from the numbers b of the input to the numbers a of
            the output.

    Returns:
        `(out · A, in · B, *kernel)`.
    """
    filters = weight.flatten(2) @ table.flatten(1)
    return torch.unflatten(filters, -1, table.shape[1:]).transpose(1, 2).flatten(2, 3).flatten(0, 1)


def gather(weight: Tensor, basis: Tensor, choice: Tensor) -> Tensor:
    """`filter[o, h, i, h'] = Σ_k weight[o, i, m(h, h'), k] · basis[k, h]`.

    Args:
        weight: `(out, in, M, K)`, M relative elements.
        basis: `(K, |H|, *kernel)`: function k moved by element h.
        choice: `(|H|², M)`, of `relative_choice`.

    Returns:
        `(out · |H|, in · |H|, *kernel)`.
    """
    out_channels, in_channels, _, functions = weight.shape
    order, kernel = basis.shape[1], basis.shape[2:]
    # A product with zeros and ones, because the gradient of an index adds rows one by one. Rows
    # are put in the order of the filters before they are multiplied, when they are shorter.
    rows = torch.matmul(choice, weight.flatten(0, 1))
    rows = rows.view(out_channels, in_channels, order, -1).transpose(1, 2)
    rows = rows.reshape(out_channels, order, -1, functions)
    filters = rows @ basis.flatten(2).transpose(0, 1)
    return filters.view(out_channels * order, in_channels * order, *kernel)


def neighbours(weight: Tensor, basis: Tensor, seen: Tensor) -> Tensor:
    """`filter[h, o, m, i] = Σ_k weight[o, i, m, k] · basis[k, h]`, zero where h sees nothing.

    For windows of a group, where an element only sees its M neighbours `h m`.

    Args:
        weight: `(out, in, M, K)`.
        basis: `(K, |H'|, *kernel)`: function k moved by element h.
        seen: `(|H'|, M)`: whether there is a neighbour.

    Returns:
        `(|H'| · out, M · in, *kernel)`, for a convolution with |H'| groups of channels.
    """
    kernel = basis.shape[2:]
    rows = weight.transpose(1, 2)
    # `@` would fold the elements into one product only where no gradient is needed, and round
    # differently.
    matrices = rows.flatten(0, 2).expand(len(seen), -1, -1)
    filters = torch.bmm(matrices, basis.transpose(0, 1).flatten(2))
    filters = filters.view(len(seen), *rows.shape[:3], *kernel)
    filters = filters * seen.view(len(seen), 1, -1, *(1,) * (1 + len(kernel))).to(filters.dtype)
    return filters.flatten(2, 3).flatten(0, 1)


def relative_basis(relative: Tensor, basis: Tensor) -> Tensor:
    """`table[(m, k), h, h'] = basis[k, h] where m = m(h, h'), else 0`: `gather` as a `product`.

    It has M·|H| times as many entries as the basis, most of them zero, which pays as long as it
    fits into a processor's cache.

    Args:
        relative: `(|H|, |H|)`.
        basis: `(K, |H|, *kernel)`.

    Returns:
        `(M · K, |H|, |H|, *kernel)`.
    """
    functions, order, kernel = basis.shape[0], basis.shape[1], basis.shape[2:]
    relatives = int(relative.max()) + 1
    table = basis.new_zeros(relatives, order, order, functions, *kernel)
    here = torch.arange(order, device=relative.device)
    table[relative, here[:, None], here] = basis.transpose(0, 1)[:, None]
    return table.movedim(3, 1).flatten(0, 1)


def relative_choice(relative: Tensor) -> Tensor:
    """`choice[(h, h'), m] = 1 where m = m(h, h'), else 0`, `(|H|², M)` float64."""
    return F.one_hot(relative.flatten()).double()
