"""Scalings of the plane and of space: a window of a group that is not compact."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from gcnn.filters import Basis, HermiteGaussian
from gcnn.geometry import ordinary_tensors
from gcnn.groups.group import Group

_SAME = 1e-6


class ScaleTranslation(Group):
    """Translations and a few scalings, filters scaled analytically.

    Element s enlarges by s, `(s·f)(x) = f(x/s)`. All scalings are infinitely many, so this is a
    window of them: a feature map `(batch, channels, scales, *space)` of an image enlarged by
    `s_j/s_i` is that of the image, enlarged, with what was at scale i now at scale j. What moves
    past the last scale is lost, and what moves in from beyond the first is not known.

    By default scales do not interact (Zhu et al., "Scaling-translation-equivariant networks with
    decomposed convolutional filters", JMLR 2022; Sosnovik, Szmaja and Smeulders, "Scale-equivariant
    steerable networks", ICLR 2020).

    >>> group = ScaleTranslation([1.0, 1.26, 1.5876], dim=3, interaction=2)
    >>> group.sources.tolist()
    [[0, 1], [1, 2], [2, -1]]

    Args:
        scales: distinct and positive, growing or shrinking.
        dim: dimension of space.
        interaction: how many neighbouring scales a group convolution combines: each sees itself
            and the `interaction - 1` that follow it in the list. 1 is none. More than 1 needs
            scales with a constant ratio, so that neighbours are alike everywhere.
        scale_padding: what the last scales see past the end: "zero", "replicate" (the last
            scale), or "valid": the convolution leaves those scales out, and its output lives on
            `target`, a window with `interaction - 1` scales fewer.
        basis: another basis for the filters; `filters.HermiteGaussian()` unless given.

    Raises:
        ValueError: scales that are not positive, finite and monotone; an interaction that is not
            between 1 and their number, or without a constant ratio.
    """

    def __init__(
        self,
        scales: Sequence[float],
        dim: int = 2,
        interaction: int = 1,
        scale_padding: str = "zero",
        basis: Basis | None = None,
    ) -> None:
        self.scales = tuple(float(scale) for scale in scales)
        _check(self.scales, dim, interaction)
        self.interaction, self.scale_padding = interaction, scale_padding
        neighbours = [scale / self.scales[0] for scale in self.scales[:interaction]]
        default = HermiteGaussian()
        basis = default if basis is None else basis
        name = f"ScaleTranslation({list(self.scales)}, dim={dim}"
        if interaction > 1:
            name += f", interaction={interaction}"
        if interaction > 1 or scale_padding != "zero":
            name += f", scale_padding={scale_padding!r}"
        if basis != default:
            name += f", basis={basis!r}"
        super().__init__(
            _dilations(self.scales, dim),
            basis,
            f"{name})",
            interacting=_dilations(neighbours, dim),
            outside=scale_padding,
        )

    def _restricted(self, elements: Tensor) -> Group:
        kept = [self.scales[i] for i in elements.tolist()]
        interaction = min(self.interaction, len(kept))
        return ScaleTranslation(kept, self.dim, interaction, self.scale_padding, self.basis)


@ordinary_tensors()
def _dilations(scales: Sequence[float], dim: int) -> Tensor:
    factors = torch.tensor(scales, dtype=torch.float64)
    return factors[:, None, None] * torch.eye(dim, dtype=torch.float64)


def _check(scales: tuple[float, ...], dim: int, interaction: int) -> None:
    wrong = [scale for scale in scales if not 0 < scale < math.inf]
    if wrong:
        raise ValueError(f"scales must be positive and finite, got {wrong[0]} in {list(scales)}")
    ratios = [after / before for before, after in pairwise(scales)]
    if not scales or not (all(r > 1 for r in ratios) or all(r < 1 for r in ratios)):
        raise ValueError(f"scales must grow or shrink, got {list(scales)}")
    if isinstance(dim, bool) or dim not in (1, 2, 3):
        raise ValueError(f"dim must be 1, 2 or 3, got {dim!r}")
    if isinstance(interaction, bool) or interaction not in range(1, len(scales) + 1):
        raise ValueError(
            f"interaction must be an integer from 1 to the number of scales, {len(scales)}, got "
            f"{interaction!r}"
        )
    if interaction > 1 and max(ratios) - min(ratios) > _SAME * max(ratios):
        raise ValueError(
            f"interacting scales need a constant ratio, got {list(scales)} with the ratios "
            f"{[round(r, 4) for r in ratios]}; use scales such as [1.0, 1.25, 1.5625]"
        )
