"""Multiply a tensor by a matrix along one of its axes."""

from __future__ import annotations

import torch
from torch import Tensor


def along_axis(tensor: Tensor, axis: int, matrix: Tensor) -> Tensor:
    """`out[..., i, ...] = Σ_j matrix[i, j] tensor[..., j, ...]`, with i and j on one axis.

    What is done to an image axis by axis (interpolation, blur, a separable filter) is this for
    every axis in turn. No transposed copy is made where the axes after `axis` are contiguous.

    >>> image = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> along_axis(image, axis=0, matrix=torch.tensor([[1.0, 1.0]])).tolist()
    [[4.0, 6.0]]

    Args:
        tensor: any shape.
        axis: which one, of n entries; counted from the end if negative.
        matrix: `(m, n)`.

    Returns:
        As `tensor`, with m entries along `axis`.

    Raises:
        IndexError: no such axis.
        ValueError: a matrix that does not fit the axis.
    """
    if not -tensor.ndim <= axis < tensor.ndim:
        raise IndexError(f"a tensor of shape {tuple(tensor.shape)} has no axis {axis}")
    if matrix.ndim != 2 or matrix.shape[1] != tensor.shape[axis]:
        raise ValueError(
            f"axis {axis} of a tensor of shape {tuple(tensor.shape)} takes a matrix "
            f"(m, {tensor.shape[axis]}), got shape {tuple(matrix.shape)}"
        )
    axis %= tensor.ndim
    if axis == tensor.ndim - 1:
        return tensor @ matrix.T
    inner = tensor.shape[axis + 1 :]
    return torch.unflatten(matrix @ tensor.flatten(axis + 1), -1, inner)
