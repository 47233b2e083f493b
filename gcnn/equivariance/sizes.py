"""Which size of image a network takes without shifting its grid: found by trying."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from gcnn.layers.modes import measuring
from gcnn.layers.sampling_grid import require_centred

# Layers of PyTorch that drop what their windows leave over, and the dimension of their space.
_SLIDING: dict[type[nn.Module], int] = {
    getattr(nn, f"{kind}{dim}d"): dim
    for kind in ("Conv", "MaxPool", "AvgPool")
    for dim in (1, 2, 3)
}


def fitting_size(module: nn.Module, leading: Sequence[int], dim: int, sizes: Iterable[int]) -> int:
    """The first of some sizes that a module takes, with every window centred on its input.

    Layers of `gcnn` refuse a size that would shift the grid. Those of PyTorch do not, so they are
    watched; if that leaves no size, because they contradict each other, they are not.

    Args:
        module: is run on zeros, in eval mode, until it raises no error.
        leading: the axes of the input before space.
        dim: how many axes of space follow.
        sizes: edges to try, in this order.

    Raises:
        ValueError: the module takes none of them; says why it refused the first.
    """
    like = next(module.parameters(), torch.zeros(()))
    sizes = tuple(sizes)
    refusals: list[Exception] = []
    watched = [part for part in module.modules() if type(part) in _SLIDING]
    for parts in (watched, []) if watched else ([],):
        with measuring(module), ExitStack() as hooks:
            for part in parts:
                hooks.enter_context(part.register_forward_pre_hook(_require_centred))
            for size in sizes:
                x = torch.zeros(*leading, *(size,) * dim, dtype=like.dtype, device=like.device)
                try:
                    module(x)
                except (ValueError, RuntimeError) as error:
                    refusals.append(error)
                else:
                    return size
    raise ValueError(
        f"{type(module).__name__} takes none of the sizes {sizes[0]} to {sizes[-1]}; pass inputs=, "
        f"a tensor or equivariance.Blobs. It refused {sizes[0]} with: {refusals[0]}"
    ) from refusals[0]


def _require_centred(layer: nn.Module, args: tuple[Tensor, ...]) -> None:
    dim = _SLIDING[type(layer)]
    settings = [layer.kernel_size, layer.stride, layer.padding, getattr(layer, "dilation", 1)]
    if isinstance(layer.padding, str):  # "same", which needs stride 1, or "valid"
        settings[2] = 0
    per_axis = [s if isinstance(s, tuple) else (s,) * dim for s in settings]
    for axis, window in enumerate(zip(*per_axis, strict=True), start=-dim):
        if window[1] > 1:
            require_centred((args[0].shape[axis],), *window)
