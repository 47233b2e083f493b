"""One motion of the input of a network, and how far the output is from following it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gcnn.equivariance.blobs import Blobs
from gcnn.geometry import as_grid_symmetry, grid_points
from gcnn.groups import Group
from gcnn.layers.modes import measuring
from gcnn.layers.windows import home, index_in

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
class Motion:
    """An element h of a group, and how what it moves is compared.

    Args:
        group: what moves.
        element: its index in the group.
        interpolation: for outputs, and for input tensors.
        inner: radius of the compared disc, as a part of half the size of the output.
        floor: also estimate what interpolation contributes; NaN if not.
    """

    group: Group
    element: int
    interpolation: str
    inner: float
    floor: bool = True

    @property
    def matrix(self) -> Tensor:
        return self.group.matrices[self.element]

    def move(self, inputs: Tensor | Blobs, module: nn.Module) -> Tensor:
        """The moved input of a module: without interpolation if it is analytic."""
        if isinstance(inputs, Blobs):
            return _like(inputs.moved(self.matrix), module)
        return self.group.act(inputs, self.element, self.interpolation)

    def error(self, observed: Tensor, output: Tensor) -> ElementError:
        """The error of `observed = f(h·x)` against `h·output`."""
        exact = as_grid_symmetry(self.matrix) is not None
        if output.ndim == 2:
            return ElementError(self.element, exact, _relative(observed, output), 0.0)
        window = home(self.group, output)
        index, is_image = index_in(window, self.matrix), window.is_image(output)
        # What comes from outside a window says nothing about a network.
        inside = window.field.inside(self.matrix)
        if index < 0 or not (is_image or inside.any()):
            return ElementError(self.element, exact, math.nan, math.nan, (math.nan,) * len(inside))
        expected = window.act(output, index, self.interpolation)
        if expected.shape != observed.shape:
            raise ValueError(
                f"element {self.element} of {self.group} takes the output to shape "
                f"{tuple(expected.shape)}, but the output of the moved input has shape "
                f"{tuple(observed.shape)}"
            )
        least = 0.0 if exact else math.nan
        if not exact:
            known = self._known(output.shape[-self.group.dim :]).to(output)
            observed, expected = observed * known, expected * known
            if self.floor:
                finer = "cubic" if self.interpolation == "quintic" else "quintic"
                least = _relative(window.act(output, index, finer) * known, expected)
        if is_image:
            return ElementError(self.element, exact, _relative(observed, expected), least)
        error = _relative(observed[:, :, inside], expected[:, :, inside])
        per_element = tuple(
            _relative(observed[:, :, h], expected[:, :, h]) if inside[h] else math.nan
            for h in range(len(inside))
        )
        return ElementError(self.element, exact, error, least, per_element)

    def _known(self, size: Sequence[int]) -> Tensor:
        """The pixels x of the inner ball `(*size)` that come from places on the grid."""
        places = grid_points(size)
        half = torch.tensor(size, dtype=torch.float64).flip(-1) / 2
        sources = (places @ torch.linalg.inv(self.matrix).T).abs()
        distance = torch.linalg.vector_norm(places, dim=-1)
        known: Tensor = (distance <= self.inner * min(size) / 2) & (sources <= half).all(dim=-1)
        return known

    def __str__(self) -> str:
        of_many = self.group.order > 1
        return f"element {self.element} of {self.group}" if of_many else str(self.group)


def measure(
    module: nn.Module, inputs: Tensor | Blobs, motions: Sequence[Motion]
) -> tuple[ElementError, ...]:
    """Measure a module for every motion, in eval mode and without gradients.

    Raises:
        ValueError: inputs or outputs hold NaN or infinity, which would pass for an error or for
            none; or the output cannot be moved, or differs in shape.
    """

    def output(x: Tensor, moved: str) -> Tensor:
        require_finite(x, f"the input, {moved},")
        y: Tensor = module(x)
        require_finite(y, f"the output of {type(module).__name__} for the input {moved}")
        return y

    with measuring(module):
        still = output(still_input(inputs, module), "as it is")
        return tuple(
            motion.error(output(motion.move(inputs, module), f"moved by {motion}"), still)
            for motion in motions
        )


def still_input(inputs: Tensor | Blobs, module: nn.Module) -> Tensor:
    """The input as it is, in the dtype and on the device of the module if it is analytic."""
    return _like(inputs.images(), module) if isinstance(inputs, Blobs) else inputs


def require_finite(values: Tensor, name: str) -> None:
    """Refuse values that are NaN or infinite."""
    wrong = int((~values.isfinite()).sum())
    if wrong:
        raise ValueError(
            f"{name} holds NaN or infinity in {wrong} of {values.numel()} values, so there is "
            "nothing to compare"
        )


def _like(images: Tensor, module: nn.Module) -> Tensor:
    parameter = next(module.parameters(), images)
    return images.to(parameter.device, parameter.dtype)


def _relative(observed: Tensor, expected: Tensor) -> float:
    difference = (observed - expected).double().flatten(1).norm(dim=1)
    size = observed.double().flatten(1).norm(dim=1)
    return float((difference / size.clamp(min=torch.finfo(torch.float64).tiny)).mean())
