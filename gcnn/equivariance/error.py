"""The equivariance error of a module, element by element, beside the interpolation floor."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gcnn.equivariance.blobs import Blobs, blobs_for
from gcnn.equivariance.window import home, index_in
from gcnn.geometry import as_grid_symmetry, grid_points
from gcnn.groups import Group, require_group

INNER = 20 / 32.5
"""Radius of the compared disc, as a part of half the size: 20 pixels of 65."""


@dataclass(frozen=True)
class ElementError:
    """How far a module is from commuting with one element.

    On a window of an infinite group only the elements h' with h⁻¹h' in the window count; NaN
    says that there are none.

    Attributes:
        element: its index in the group.
        exact: whether the element maps the grid onto itself, so that nothing is interpolated.
        error: `‖f(h·x) - h·f(x)‖ / ‖f(h·x)‖`, the mean over the batch.
        floor: what interpolating `h·f(x)` contributes at least; 0 for exact elements.
        per_element: the error of every element h' of a feature map by itself, NaN where h⁻¹h' is
            outside the window; empty for images and vectors.
    """

    element: int
    exact: bool
    error: float
    floor: float
    per_element: tuple[float, ...] = ()


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
        lines += [
            f"{row.element:>7}  {'exact' if row.exact else 'between':<11}  {row.error:.2e}  "
            f"{row.floor:.1e}"
            for row in self.rows
        ]
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
    rows = []
    with measuring(module), torch.no_grad():
        blobs = blobs_for(module, group) if inputs is None else inputs
        output = finite_output(module, still_input(blobs, module), "as it is")
        for element in elements:
            moved_input = move_input(blobs, group, element, module, interpolation)
            observed = finite_output(module, moved_input, f"moved by element {element} of {group}")
            rows.append(compare(observed, output, group, element, interpolation, inner, floor))
    if rows and all(math.isnan(row.error) for row in rows):
        raise ValueError(
            f"no product of the elements {list(elements)} with another is in the window {group}, "
            "so there is nothing to compare"
        )
    return EquivarianceReport(group, tuple(rows))


def compare(
    observed: Tensor,
    output: Tensor,
    group: Group,
    element: int,
    interpolation: str,
    inner: float,
    floor: bool = True,
) -> ElementError:
    """The error of `observed = f(h·x)` against `h·output`, for one element."""
    matrix = group.matrices[element]
    exact = as_grid_symmetry(matrix) is not None
    if output.ndim == 2:
        return ElementError(element, exact, _relative(observed, output), 0.0)
    window = home(group, output)
    index = index_in(window, matrix)
    if index < 0:
        return ElementError(element, exact, math.nan, math.nan, (math.nan,) * window.field.size)
    expected = window.act(output, index, interpolation)
    if expected.shape != observed.shape:
        raise ValueError(
            f"element {element} of {group} takes the output to shape {tuple(expected.shape)}, but "
            f"the output of the moved input has shape {tuple(observed.shape)}"
        )
    least = 0.0
    if not exact:
        inside = _known(output.shape[-group.dim :], matrix, inner).to(output)
        observed, expected = observed * inside, expected * inside
        least = math.nan
        if floor:
            finer = "cubic" if interpolation == "quintic" else "quintic"
            least = _relative(window.act(output, index, finer) * inside, expected)
    if window.is_image(output):
        return ElementError(element, exact, _relative(observed, expected), least)
    # What comes from outside a window says nothing about a network.
    inside_window = window.field.inside(matrix).tolist()
    if not any(inside_window):
        return ElementError(element, exact, math.nan, math.nan, (math.nan,) * window.field.size)
    compared = [h for h, inside in enumerate(inside_window) if inside]
    return ElementError(
        element,
        exact,
        _relative(observed[:, :, compared], expected[:, :, compared]),
        least,
        tuple(
            _relative(observed[:, :, h], expected[:, :, h]) if inside else math.nan
            for h, inside in enumerate(inside_window)
        ),
    )


def finite_output(module: nn.Module, x: Tensor, moved: str) -> Tensor:
    """`module(x)`, if neither holds NaN or infinity, which would pass for an error or for none.

    Args:
        module: a network.
        x: its input.
        moved: how the input was moved, for the message.

    Raises:
        ValueError: one of them does.
    """
    require_finite(x, f"the input, {moved},")
    output: Tensor = module(x)
    require_finite(output, f"the output of {type(module).__name__} for the input {moved}")
    return output


def require_finite(values: Tensor, name: str) -> None:
    """Refuse values that are NaN or infinite."""
    wrong = int((~values.isfinite()).sum())
    if wrong:
        raise ValueError(
            f"{name} holds NaN or infinity in {wrong} of {values.numel()} values, so there is "
            "nothing to compare"
        )


def move_input(
    inputs: Tensor | Blobs, group: Group, element: int, module: nn.Module, interpolation: str
) -> Tensor:
    """The input moved by an element: without interpolation if it is analytic."""
    if isinstance(inputs, Blobs):
        return _like(inputs.moved(group.matrices[element]), module)
    return group.act(inputs, element, interpolation)


def still_input(inputs: Tensor | Blobs, module: nn.Module) -> Tensor:
    """The input as it is, in the dtype and on the device of the module if it is analytic."""
    return _like(inputs.images(), module) if isinstance(inputs, Blobs) else inputs


def _like(images: Tensor, module: nn.Module) -> Tensor:
    parameter = next(module.parameters(), images)
    return images.to(parameter.device, parameter.dtype)


def inner_ball(size: Sequence[int], inner: float) -> Tensor:
    """The mask `(*size)` of the pixels within a part of half the smallest edge."""
    distance: Tensor = torch.linalg.vector_norm(grid_points(size), dim=-1)
    return distance <= inner * min(size) / 2


def _known(size: Sequence[int], matrix: Tensor, inner: float) -> Tensor:
    """The pixels x of the inner ball `(*size)` that a matrix moves from places on the grid."""
    source = grid_points(size) @ torch.linalg.inv(matrix).T
    half = torch.tensor(size, dtype=torch.float64).flip(-1) / 2
    on_grid: Tensor = (source.abs() <= half).all(dim=-1)
    return on_grid & inner_ball(size, inner)


def _relative(observed: Tensor, expected: Tensor) -> float:
    difference = (observed - expected).double().flatten(1).norm(dim=1)
    size = observed.double().flatten(1).norm(dim=1)
    return float((difference / size.clamp(min=torch.finfo(torch.float64).tiny)).mean())


@contextmanager
def measuring(module: nn.Module) -> Iterator[None]:
    """Put a module into eval mode, and every part of it back into its own mode afterwards."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode
