"""The equivariance error of a module, element by element, beside the interpolation floor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gcnn.equivariance.blobs import Blobs, blobs_for
from gcnn.geometry import as_grid_symmetry, grid_points, transform
from gcnn.groups import Group

_INNER = 20 / 32.5


@dataclass(frozen=True)
class ElementError:
    """How far a module is from commuting with one element.

    Attributes:
        element: its index in the group.
        exact: whether the element maps the grid onto itself, so that nothing is interpolated.
        error: `‖f(h·x) - h·f(x)‖ / ‖f(h·x)‖`, the mean over the batch.
        floor: what interpolating `h·f(x)` alone contributes; 0 for exact elements.
    """

    element: int
    exact: bool
    error: float
    floor: float


@dataclass(frozen=True)
class EquivarianceReport:
    """The errors of a module for the elements of a group; prints as a table."""

    group: Group
    rows: tuple[ElementError, ...]

    @property
    def worst(self) -> float:
        """The largest error of all elements."""
        return max(row.error for row in self.rows)

    @property
    def worst_exact(self) -> float:
        """The largest error among the elements that map the grid onto itself."""
        return max((row.error for row in self.rows if row.exact), default=0.0)

    def __str__(self) -> str:
        lines = ["element  on the grid  error     floor"]
        lines += [
            f"{row.element:>7}  {'exact' if row.exact else 'between':<11}  {row.error:.2e}  "
            f"{row.floor:.1e}"
            for row in self.rows
        ]
        return "\n".join(lines)


def equivariance_error(
    module: nn.Module,
    group: Group,
    inputs: Tensor | Blobs | None = None,
    elements: Sequence[int] | None = None,
    *,
    interpolation: str = "cubic",
    inner: float = _INNER,
) -> EquivarianceReport:
    """Compare `f(h·x)` with `h·f(x)` for the elements h of a group.

    The module is measured in eval mode, without gradients, in its own dtype. Elements that map
    the grid onto itself are compared everywhere; the others within the inner disc (ball), because
    what lies outside the image is unknown to one side of the comparison.

    Args:
        module: takes images or feature maps; gives feature maps on the group, images, or
            `(batch, channels)` vectors, which must not change.
        group: what moves.
        inputs: a tensor, moved by interpolation, or analytic `Blobs`, which are not; blobs that
            fit the module unless given.
        elements: which ones, all unless given.
        interpolation: for the outputs, and for an input tensor.
        inner: radius of the compared disc, as a part of half the size of the output.

    Returns:
        An `EquivarianceReport`.

    Raises:
        ValueError: the output cannot be moved by the group, or differs in shape.
    """
    blobs = blobs_for(module, group) if inputs is None else inputs
    elements = range(group.order) if elements is None else elements
    rows = []
    with measuring(module), torch.no_grad():
        output = module(_input(blobs, module))
        for element in elements:
            moved_input = move_input(blobs, group, element, module, interpolation)
            rows.append(compare(module(moved_input), output, group, element, interpolation, inner))
    return EquivarianceReport(group, tuple(rows))


def compare(
    observed: Tensor, output: Tensor, group: Group, element: int, interpolation: str, inner: float
) -> ElementError:
    """The error of `observed = f(h·x)` against `h·output`, for one element."""
    exact = as_grid_symmetry(group.matrices[element]) is not None
    if output.ndim == 2:
        return ElementError(element, exact, _relative(observed, output), 0.0)
    expected = group.act(output, element, interpolation)
    if expected.shape != observed.shape:
        raise ValueError(
            f"element {element} of {group} takes the output to shape {tuple(expected.shape)}, but "
            f"the output of the moved input has shape {tuple(observed.shape)}"
        )
    if exact:
        return ElementError(element, True, _relative(observed, expected), 0.0)
    inside = inner_ball(output.shape[-group.dim :], inner).to(output)
    back = _inverse(group, expected, element, interpolation)
    # There and back interpolates twice.
    floor = _relative(output * inside, back * inside) / 2
    return ElementError(element, False, _relative(observed * inside, expected * inside), floor)


def _inverse(group: Group, features: Tensor, element: int, interpolation: str) -> Tensor:
    if group.is_image(features) or group.inverse[element] < 0:
        return transform(features, torch.linalg.inv(group.matrices[element]), interpolation)
    return group.act(features, int(group.inverse[element]), interpolation)


def move_input(
    inputs: Tensor | Blobs, group: Group, element: int, module: nn.Module, interpolation: str
) -> Tensor:
    """The input moved by an element: without interpolation if it is analytic."""
    if isinstance(inputs, Blobs):
        return _like(inputs.moved(group.matrices[element]), module)
    return group.act(inputs, element, interpolation)


def _input(inputs: Tensor | Blobs, module: nn.Module) -> Tensor:
    return _like(inputs.images(), module) if isinstance(inputs, Blobs) else inputs


def _like(images: Tensor, module: nn.Module) -> Tensor:
    parameter = next(module.parameters(), images)
    return images.to(parameter.device, parameter.dtype)


def inner_ball(size: Sequence[int], inner: float) -> Tensor:
    """The mask `(*size)` of the pixels within a part of half the smallest edge."""
    distance: Tensor = torch.linalg.vector_norm(grid_points(size), dim=-1)
    return distance <= inner * min(size) / 2


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
