"""The equivariance error of a module, element by element, beside the interpolation floor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from gcnn.equivariance.blobs import Blobs, blobs_for
from gcnn.equivariance.motion import INNER, ElementError, Motion, measure
from gcnn.groups import Group, require_group


@dataclass(frozen=True)
class EquivarianceReport:
    """The errors of a module for the elements of a group; prints as a table.

    >>> from gcnn.groups import P4
    >>> rows = (ElementError(0, True, 0.0, 0.0), ElementError(1, True, 2e-7, 0.0))
    >>> print(EquivarianceReport(P4(), rows))
    element  on the grid  error     floor
          0  exact        0.00e+00  0.0e+00
          1  exact        2.00e-07  0.0e+00
    """

    group: Group
    rows: tuple[ElementError, ...]

    @property
    def worst(self) -> float:
        """The largest error of all elements that can be compared."""
        return max(row.error for row in self.rows if not math.isnan(row.error))

    @property
    def worst_exact(self) -> float:
        """The largest error among the elements that map the grid onto itself."""
        errors = [row.error for row in self.rows if row.exact and not math.isnan(row.error)]
        return max(errors, default=0.0)

    def __str__(self) -> str:
        lines = ["element  on the grid  error     floor"]
        for row in self.rows:
            place = "exact" if row.exact else "between"
            lines.append(f"{row.element:>7}  {place:<11}  {row.error:.2e}  {row.floor:.1e}")
        if not self.group.is_closed and any(row.per_element for row in self.rows):
            # At the ends of a window less is known than inside, so one figure says too little.
            lines[0] += "    each element of the output"
            for number, row in enumerate(self.rows, start=1):
                lines[number] += ("  " + "  ".join(map(_cell, row.per_element))).rstrip()
        return "\n".join(lines)


def _cell(error: float) -> str:
    return f"{'-':<8}" if math.isnan(error) else f"{error:.2e}"


def equivariance_error(
    module: nn.Module,
    group: Group,
    inputs: Tensor | Blobs | None = None,
    elements: Sequence[int] | None = None,
    *,
    interpolation: str = "cubic",
    inner: float = INNER,
    floor: bool = True,
) -> EquivarianceReport:
    """Compare `f(h·x)` with `h·f(x)` for the elements h of a group.

    The module is measured in eval mode, without gradients, in its own dtype. Elements that map
    the grid onto itself are compared everywhere; the others within the inner disc (ball), and
    where `h⁻¹x` is on the grid, because what lies outside the image is unknown to one side of the
    comparison. So is what lies outside a window of an infinite group: where h⁻¹h' is not one of
    its elements, a feature map is not compared.

    The floor is the distance between `h·f(x)` and the same by a finer spline (quintic; cubic if
    the output is moved by quintic splines). It is close to the interpolation error of smooth
    outputs, and below that of outputs with kinks between the pixels, as after a ReLU.

    >>> from gcnn.groups import P4
    >>> from gcnn.layers import LiftingConv
    >>> report = equivariance_error(LiftingConv(P4(), 1, 8, kernel_size=3), P4())
    >>> report.worst_exact < 1e-5
    True

    Args:
        module: takes images or feature maps; gives feature maps on the group, images, or
            `(batch, channels)` vectors, which must not change.
        group: what moves.
        inputs: a tensor, moved by interpolation, or analytic `Blobs`, which are not; blobs that
            fit the module unless given.
        elements: which ones, all unless given.
        interpolation: for the outputs, and for an input tensor.
        inner: radius of the compared disc, as a part of half the size of the output.
        floor: also estimate what interpolation contributes, which in 3D takes three quarters of
            the time; NaN if not.

    Returns:
        An `EquivarianceReport`.

    Raises:
        TypeError: group is none.
        ValueError: the output cannot be moved by the group, or differs in shape; input or output
            hold NaN or infinity; or none of the elements has anything to compare.
    """
    require_group(group)
    elements = range(group.order) if elements is None else elements
    inputs = blobs_for(module, group) if inputs is None else inputs
    motions = [Motion(group, element, interpolation, inner, floor) for element in elements]
    rows = measure(module, inputs, motions)
    if rows and all(math.isnan(row.error) for row in rows):
        raise ValueError(
            f"no product of the elements {list(elements)} with another is in the window {group}, "
            "so there is nothing to compare"
        )
    return EquivarianceReport(group, rows)
