"""Where in a network equivariance is lost."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from gcnn.equivariance.blobs import Blobs, blobs_for
from gcnn.equivariance.motion import INNER, Motion, require_finite, still_input
from gcnn.groups import Group, require_group
from gcnn.layers.convolution import Convolution
from gcnn.layers.modes import measuring
from gcnn.layers.windows import home, index_in


@dataclass(frozen=True)
class LayerError:
    """The error up to and including one layer.

    Attributes:
        name: of the layer in the network; a layer used several times has several rows.
        kind: its class.
        shape: of its output.
        error: `‖f(h·x) - h·f(x)‖ / ‖f(h·x)‖` with f the network up to here.
        own: the same for this layer alone, fed with `h·(its input)`, interpolated; elements from
            outside a window are those that the moved input really brings.
        floor: what interpolating `h·f(x)` contributes at least.
        per_element: the error up to here for every element of a feature map by itself, NaN
            outside the window; empty for images and vectors.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    error: float
    own: float
    floor: float
    per_element: tuple[float, ...] = ()


@dataclass(frozen=True)
class LayerTable:
    """The errors of the layers of a network in the order in which they run; prints as a table.

    >>> from gcnn.groups import P4
    >>> row = LayerError("0", "LiftingConv", (4, 8, 4, 63, 63), error=3e-7, own=3e-7, floor=0.0)
    >>> print(LayerTable(P4(), 1, (row,)))
    P4(), element 1
    layer  class        up to here  alone     floor
    0      LiftingConv  3.00e-07    3.00e-07  0.0e+00
    """

    group: Group
    element: int
    rows: tuple[LayerError, ...]

    def __str__(self) -> str:
        names = max([len(row.name) for row in self.rows] + [5])
        kinds = max([len(row.kind) for row in self.rows] + [5])
        lines = [f"{self.group}, element {self.element}"]
        lines.append(f"{'layer':<{names}}  {'class':<{kinds}}  up to here  alone     floor")
        for row in self.rows:
            errors = f"{row.error:.2e}    {row.own:.2e}  {row.floor:.1e}"
            lines.append(f"{row.name:<{names}}  {row.kind:<{kinds}}  {errors}")
        return "\n".join(lines)


@dataclass
class _Call:
    name: str
    module: nn.Module
    input: Tensor
    output: Tensor

    @property
    def kind(self) -> str:
        return type(self.module).__name__

    def __str__(self) -> str:
        return f"layer {self.name!r} ({self.kind})"


def layer_errors(
    network: nn.Module,
    group: Group,
    inputs: Tensor | Blobs | None = None,
    element: int = 1,
    *,
    interpolation: str = "cubic",
    inner: float = INNER,
) -> LayerTable:
    """Measure every layer of a network, alone and together with all before it.

    The layer where "up to here" jumps, or whose "alone" is large, is the one to look at. Layers
    whose output the group cannot move (such as a flattened one) have no row.

    >>> from gcnn.groups import P4
    >>> from gcnn.layers import LiftingConv
    >>> table = layer_errors(nn.Sequential(LiftingConv(P4(), 1, 8, 3), nn.ReLU()), P4())
    >>> {row.kind: row.error < 1e-5 for row in table.rows}
    {'LiftingConv': True, 'ReLU': True}

    Args:
        network: is run as it is, on the input and on the moved input.
        group: what moves.
        inputs: a tensor or analytic `Blobs`; blobs that fit the network unless given.
        element: the element to move by.
        interpolation: for outputs and inputs that have to be moved.
        inner: radius of the compared disc, as a part of half the size of a map.

    Raises:
        TypeError: group is none.
        ValueError: a layer gives NaN or infinity; names the first.
    """
    require_group(group)
    inputs = blobs_for(network, group) if inputs is None else inputs
    motion = Motion(group, element, interpolation, inner)
    rows = []
    with measuring(network):
        still = _record(network, still_input(inputs, network))
        moved = _record(network, motion.move(inputs, network))
        for one, other in zip(still, moved, strict=True):
            if not _movable(group, one.output) or not _movable(group, one.input):
                continue
            alone = one.module(_moved(motion, one.input, other.input))
            require_finite(alone, f"the output of {one} for its moved input")
            total, own = motion.error(other.output, one.output), motion.error(alone, one.output)
            errors = (total.error, own.error, total.floor, total.per_element)
            rows.append(LayerError(one.name, one.kind, tuple(one.output.shape), *errors))
    return LayerTable(group, element, tuple(rows))


def _moved(motion: Motion, x: Tensor, other: Tensor) -> Tensor:
    """`h·x`, filled up from `other` where it comes from outside a window."""
    window = home(motion.group, x)
    index = index_in(window, motion.matrix)
    if index < 0:
        return other
    moved = window.act(x, index, motion.interpolation)
    if not window.is_image(x):
        outside = ~window.field.inside(motion.matrix)
        moved[:, :, outside] = other[:, :, outside]
    return moved


def _record(network: nn.Module, x: Tensor) -> list[_Call]:
    """What every layer takes and gives, in the order of the calls."""
    calls: list[_Call] = []
    require_finite(x, "the input")

    def remember(name: str, module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        # An in-place layer later on would overwrite what is remembered.
        calls.append(_Call(name, module, args[0].clone(), output.clone()))
        require_finite(output, f"the output of {calls[-1]}")

    with ExitStack() as hooks:
        for name, module in network.named_modules():
            if isinstance(module, Convolution) or not any(True for _ in module.children()):
                hooks.enter_context(module.register_forward_hook(partial(remember, name)))
        network(x)
    return calls


def _movable(group: Group, x: Tensor) -> bool:
    try:
        home(group, x).is_image(x)
    except ValueError:
        return False
    return True
