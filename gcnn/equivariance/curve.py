"""The error of a network at any angle or scale, not only at those of its group."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gcnn.equivariance.blobs import Blobs
from gcnn.equivariance.motion import INNER, Motion, measure
from gcnn.filters import Pixels
from gcnn.geometry import rotation
from gcnn.groups import Group


@dataclass(frozen=True)
class ErrorCurve:
    """Equivariance error against angle; prints as a table.

    >>> print(ErrorCurve(angles=(45.0, 90.0), errors=(0.1, 0.0), floors=(0.01, 0.0)))
      angle  error     floor
        45°  1.00e-01  1.0e-02
        90°  0.00e+00  0.0e+00

    Attributes:
        angles: in degrees, counter-clockwise.
        errors: `‖f(R x) - R f(x)‖ / ‖f(R x)‖` at each angle.
        floors: what interpolation alone contributes at least.
    """

    angles: tuple[float, ...]
    errors: tuple[float, ...]
    floors: tuple[float, ...]

    def __str__(self) -> str:
        return _table("angle", "°", self.angles, self.errors, self.floors)


@dataclass(frozen=True)
class ScaleCurve:
    """Equivariance error against scale; prints as a table.

    >>> print(ScaleCurve(scales=(0.7, 1.0), errors=(0.1, 0.0), floors=(0.01, 0.0)))
      scale  error     floor
        0.7  1.00e-01  1.0e-02
          1  0.00e+00  0.0e+00

    Attributes:
        scales: factors by which what is seen grows.
        errors, floors: as of an `ErrorCurve`.
    """

    scales: tuple[float, ...]
    errors: tuple[float, ...]
    floors: tuple[float, ...]

    def __str__(self) -> str:
        return _table("scale", "", self.scales, self.errors, self.floors)


def error_curve(
    network: nn.Module,
    inputs: Tensor | Blobs,
    angles: Sequence[float] = tuple(range(0, 360, 15)),
    interpolation: str = "cubic",
    inner: float = INNER,
) -> ErrorCurve:
    """Turn the input by any angle and compare the output with the turned output.

    >>> curve = error_curve(nn.Conv2d(1, 1, 1), Blobs(size=33), angles=[45, 90])
    >>> max(curve.errors) < 1e-2
    True

    Args:
        network: takes images of the plane; gives images (masks, logits) or vectors. A feature
            map cannot be turned by angles that are not in its group: pool it first.
        inputs: a tensor `(batch, channels, rows, columns)` or analytic `Blobs`.
        angles: in degrees.
        interpolation: for the outputs, and for an input tensor.
        inner: radius of the compared disc, as a part of half the size of the output.

    Raises:
        ValueError: the output is neither an image nor a vector, or holds NaN or infinity.
    """
    turns = [(f"rotation({angle:g}°)", rotation(angle)) for angle in angles]
    found = _errors_and_floors(network, inputs, turns, interpolation, inner)
    return ErrorCurve(tuple(map(float, angles)), *found)


def scale_curve(
    network: nn.Module,
    inputs: Tensor | Blobs,
    scales: Sequence[float] = (0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.4),
    interpolation: str = "cubic",
    inner: float = INNER,
) -> ScaleCurve:
    """Zoom the input by any factor and compare the output with the zoomed output.

    >>> curve = scale_curve(nn.Conv2d(1, 1, 1), Blobs(size=33), scales=[0.8, 1.25])
    >>> max(curve.errors) < 1e-2
    True

    Args:
        network, inputs, interpolation: as in `error_curve`, also with volumes.
        scales: factors about the centre of the grid; what is seen grows where they are above 1.
        inner: radius of the compared disc (ball), as a part of half the size of the output; of
            it, only what comes from the grid is compared.

    Raises:
        ValueError: as in `error_curve`, or a scale is not positive.
    """
    wrong = [scale for scale in scales if not 0 < scale < math.inf]
    if wrong:
        raise ValueError(f"scales must be positive, got {wrong[0]}")
    identity = torch.eye(inputs.dim if isinstance(inputs, Blobs) else inputs.ndim - 2).double()
    zooms = [(f"scaling({scale:g})", scale * identity) for scale in scales]
    found = _errors_and_floors(network, inputs, zooms, interpolation, inner)
    return ScaleCurve(tuple(map(float, scales)), *found)


def _errors_and_floors(
    network: nn.Module,
    inputs: Tensor | Blobs,
    matrices: Sequence[tuple[str, Tensor]],
    interpolation: str,
    inner: float,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """For every named matrix, as a group of one element: on images, that is all it takes."""
    groups = [Group([matrix], Pixels(), name) for name, matrix in matrices]
    rows = measure(network, inputs, [Motion(one, 0, interpolation, inner) for one in groups])
    return tuple(row.error for row in rows), tuple(row.floor for row in rows)


def _table(title: str, unit: str, *columns: tuple[float, ...]) -> str:
    lines = [f"{title:>7}  error     floor"]
    for place, error, floor in zip(*columns, strict=True):
        lines.append(f"{f'{place:g}{unit}':>7}  {error:.2e}  {floor:.1e}")
    return "\n".join(lines)
