"""Windows of infinite groups: where a feature map lives, and the same weights on another one."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from gcnn.geometry import find, scales_of
from gcnn.groups import Group, require_group
from gcnn.layers.convolution import Convolution
from gcnn.layers.frozen import FrozenConv
from gcnn.layers.input_lifting import InputLifting


def rewindow(network: nn.Module, group: Group) -> nn.Module:
    """A copy of a network with the same weights on another window: longer, shorter, finer, shifted.

    What a layer does at a scale does not depend on which other scales are listed, so that a network
    that was trained on four scales can look at eight. The copy shares nothing with the original,
    and everything that is not on a window (heads, activations) is copied as it is.

    >>> import torch
    >>> from gcnn import groups, layers
    >>> few = groups.ScaleTranslation([1.0, 0.8, 0.64])
    >>> many = groups.ScaleTranslation([1.5625, 1.25, 1.0, 0.8, 0.64, 0.512])
    >>> lifting = layers.LiftingConv(few, 1, 2, kernel_size=7, padding="same")
    >>> longer = layers.rewindow(lifting, many)
    >>> image = torch.randn(1, 1, 32, 32)
    >>> torch.allclose(longer(image)[:, :, 2:5], lifting(image), atol=1e-5)
    True

    Args:
        network: any module with layers on a window; it is not changed.
        group: the other window.

    Returns:
        A copy whose layers are on `group`, in the modes of the original.

    Raises:
        TypeError: `group` is no group.
        ValueError: nothing in the network is on a group; or one of its groups has another
            dimension, another field or other neighbours than `group`, so that the weights would
            mean something else; or filters are frozen already.
    """
    require_group(group)
    moved = copy.deepcopy(network)
    parts = [
        (name or type(part).__name__, part)
        for name, part in moved.named_modules()
        if isinstance(getattr(part, "group", None), Group)
    ]
    frozen = [name for name, part in moved.named_modules() if isinstance(part, FrozenConv)]
    if frozen:
        raise ValueError(f"layer {frozen[0]!r} holds frozen filters: use rewindow before freeze")
    if not parts:
        raise ValueError(f"nothing in this {type(network).__name__} is on a group")
    widest = max((part.group for _, part in parts), key=lambda old: old.order)
    windows = list(zip(targets(widest), targets(group), strict=False))
    for name, part in parts:
        window = next((new for old, new in windows if old == part.group), None)
        if window is None:
            raise ValueError(
                f"{name} is on {part.group} and other layers are on {widest}, so that {group} "
                "cannot take the place of both"
            )
        _require_kin(name, part.group, window)
        if isinstance(part, Convolution | InputLifting):
            part.settle(window)
        else:
            part.group = window
    return moved


def targets(group: Group) -> Iterator[Group]:
    """A window, and those that are left of it after one convolution, two, ..."""
    for _ in range(group.order):
        yield group
        try:
            window, group = group, group.target
        except ValueError:  # Too few elements are left for another convolution.
            return
        if group is window:
            return


def home(group: Group, features: Tensor) -> Group:
    """The window that a feature map lives on.

    The group itself, unless convolutions on it leave out elements at its ends; then what remains
    after as many of them as it takes. Whether it fits is for the action to say.
    """
    sizes = features.shape[2:3] if features.ndim == group.dim + 3 else ()
    return next((window for window in targets(group) if window.field.size in sizes), group)


def index_in(window: Group, matrix: Tensor) -> int:
    """Which element of a window a matrix is, -1 if none."""
    return int(find(matrix[None], window.matrices)[0])


def _require_kin(name: str, old: Group, new: Group) -> None:
    """Refuse a window on which weights of another would mean something else."""
    if old.dim != new.dim:
        raise ValueError(
            f"{name} is on {old}, which moves {old.dim}D space, {new} moves {new.dim}D"
        )
    if old == new:
        return
    if old.interacting is None or new.interacting is None:
        raise ValueError(
            f"{name} is on {old}: only windows on which each element sees its own neighbours, such "
            f"as ScaleTranslation, share weights, and {new if new.interacting is None else old} "
            "has a weight for every pair of elements"
        )
    ours, theirs = old.relative_matrices, new.relative_matrices
    if ours.shape != theirs.shape or not torch.allclose(ours, theirs):
        raise ValueError(
            f"on {old}, {name} has weights for the neighbours at "
            f"{_ratios(old)}; on {new} they would be at {_ratios(new)}: use the same ratio between "
            "interacting scales, and the same number of them"
        )
    if (old.outside == "valid") != (new.outside == "valid"):
        raise ValueError(
            f"{name} is on {old}: only one of it and {new} leaves out the elements at its ends"
        )


def _ratios(group: Group) -> str:
    """The relative elements, as factors of scale."""
    scales = scales_of(group.relative_matrices).tolist()
    return "ratios " + ", ".join(f"{scale:.4g}" for scale in scales)
