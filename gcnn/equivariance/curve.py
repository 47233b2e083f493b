"""The error of a network at any angle, not only at those of its group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from gcnn.equivariance.blobs import Blobs
from gcnn.equivariance.error import ElementError, equivariance_error
from gcnn.filters import Pixels
from gcnn.geometry import rotation
from gcnn.groups import Group


@dataclass(frozen=True)
class ErrorCurve:
    """Equivariance error against angle; prints as a table.

    Attributes:
        angles: in degrees, counter-clockwise.
        errors: `‖f(R x) - R f(x)‖ / ‖f(R x)‖` at each angle.
        floors: what interpolation alone contributes.
    """

    angles: tuple[float, ...]
    errors: tuple[float, ...]
    floors: tuple[float, ...]

    def __str__(self) -> str:
        rows = zip(self.angles, self.errors, self.floors, strict=True)
        lines = ["  angle  error     floor"]
        return "\n".join(lines + [f"{a:>6g}°  {e:.2e}  {f:.1e}" for a, e, f in rows])


def error_curve(
    network: nn.Module,
    inputs: Tensor | Blobs,
    angles: Sequence[float] = tuple(range(0, 360, 15)),
    interpolation: str = "cubic",
) -> ErrorCurve:
    """Turn the input by any angle and compare the output with the turned output.

    Args:
        network: takes images of the plane; gives images (masks, logits) or vectors. A feature
            map cannot be turned by angles that are not in its group: pool it first.
        inputs: a tensor `(batch, channels, rows, columns)` or analytic `Blobs`.
        angles: in degrees.
        interpolation: for the outputs, and for an input tensor.

    Raises:
        ValueError: the output is neither an image nor a vector.
    """
    rows: list[ElementError] = []
    for angle in angles:
        turn = Group([rotation(angle)], Pixels(), name=f"rotation({angle:g}°)")
        rows += equivariance_error(network, turn, inputs, interpolation=interpolation).rows
    return ErrorCurve(
        tuple(float(angle) for angle in angles),
        tuple(row.error for row in rows),
        tuple(row.floor for row in rows),
    )
