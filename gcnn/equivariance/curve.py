"""The error of a network at any angle or scale, not only at those of its group."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gcnn.equivariance.blobs import Blobs
from gcnn.equivariance.error import (
    INNER,
    ElementError,
    compare,
    finite_output,
    measuring,
    move_input,
    still_input,
)
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
        return _table("angle", [f"{a:g}°" for a in self.angles], self.errors, self.floors)


@dataclass(frozen=True)
class ScaleCurve:
    """Equivariance error against scale; prints as a table.

    >>> print(ScaleCurve(scales=(0.7, 1.0), errors=(0.1, 0.0), floors=(0.01, 0.0)))
      scale  error     floor
        0.7  1.00e-01  1.0e-02
          1  0.00e+00  0.0e+00

    Attributes:
        scales: factors by which what is seen grows.
        errors: `‖f(S x) - S f(x)‖ / ‖f(S x)‖` at each scale.
        floors: what interpolation alone contributes at least.
    """

    scales: tuple[float, ...]
    errors: tuple[float, ...]
    floors: tuple[float, ...]

    def __str__(self) -> str:
        return _table("scale", [f"{s:g}" for s in self.scales], self.errors, self.floors)


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
    turns = [Group([rotation(a)], Pixels(), name=f"rotation({a:g}°)") for a in angles]
    rows = _errors(network, inputs, turns, interpolation, inner)
    return ErrorCurve(
        tuple(float(angle) for angle in angles),
        tuple(row.error for row in rows),
        tuple(row.floor for row in rows),
    )


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
        network: takes images or volumes; gives such (masks, logits) or vectors. A feature map
            cannot be zoomed by scales that are not in its group: pool it first.
        inputs: a tensor `(batch, channels, *space)` or analytic `Blobs`.
        scales: factors about the centre of the grid; what is seen grows where they are above 1.
        interpolation: for the outputs, and for an input tensor.
        inner: radius of the compared disc (ball), as a part of half the size of the output; of
            it, only what comes from the grid is compared.

    Raises:
        ValueError: the output is neither an image nor a vector, or holds NaN or infinity; or a
            scale is not positive.
    """
    wrong = [scale for scale in scales if not 0 < scale < math.inf]
    if wrong:
        raise ValueError(f"scales must be positive, got {wrong[0]}")
    dim = inputs.dim if isinstance(inputs, Blobs) else inputs.ndim - 2
    identity = torch.eye(dim, dtype=torch.float64)
    zooms = [Group([s * identity], Pixels(), name=f"scaling({s:g})") for s in scales]
    rows = _errors(network, inputs, zooms, interpolation, inner)
    return ScaleCurve(
        tuple(float(scale) for scale in scales),
        tuple(row.error for row in rows),
        tuple(row.floor for row in rows),
    )


def _errors(
    network: nn.Module,
    inputs: Tensor | Blobs,
    motions: Sequence[Group],
    interpolation: str,
    inner: float,
) -> list[ElementError]:
    """The error for every motion, a group of one element: on images, that is all it takes."""
    with measuring(network), torch.no_grad():
        output = finite_output(network, still_input(inputs, network), "as it is")
        rows = []
        for motion in motions:
            moved_input = move_input(inputs, motion, 0, network, interpolation)
            observed = finite_output(network, moved_input, f"moved by {motion}")
            rows.append(compare(observed, output, motion, 0, interpolation, inner))
    return rows


def _table(
    title: str, labels: Sequence[str], errors: Sequence[float], floors: Sequence[float]
) -> str:
    rows = zip(labels, errors, floors, strict=True)
    lines = [f"{title:>7}  error     floor"]
    return "\n".join(lines + [f"{label:>7}  {e:.2e}  {f:.1e}" for label, e, f in rows])
