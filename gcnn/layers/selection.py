"""Selection over the group: which elements recognise what they see.

A network finds things at the scales it was trained on. On a longer window, a mean or a maximum also
asks the scales that have never seen anything like it. A selection asks those that recognise what
they see, and moves along with it when it changes in size.
"""

from __future__ import annotations

import math
from contextlib import ExitStack

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gcnn.fields import Regular
from gcnn.geometry import scales_of
from gcnn.groups import Group, require_group
from gcnn.kernels.own_gradient import outside_autocast
from gcnn.layers.modes import measuring


def _certainty(x: Tensor) -> tuple[Tensor, Tensor]:
    found = 2 * F.logsigmoid(x)
    return found, found + F.logsigmoid(-x)


def _height(x: Tensor) -> tuple[Tensor, Tensor]:
    # No height counts next to nothing.
    height = x.clamp(min=torch.finfo(x.dtype).tiny).log()
    return 2 * height, height


# Logarithms of what is summed over places above and below the fraction.
_SCORES = {"certainty": _certainty, "height": _height}
# What is far from a place counts this much of what is near: where nothing is near, all of it.
_FAR = 1e-3


class Selection(nn.Module):
    """The weight of every element of the group, for an image or for every place of it.

    `w(h) ∝ (s(h)ᵗ A(h))ᵝ` with β the sharpness, t the tilt, `s(h) = |det h|^(1/d)` the scale of an
    element, and a score A that is a ratio of sums over channels and places:

    - "certainty", for logits f with the probabilities p: `Σ p² / Σ p² (1 - p)`, the inverse of how
      unsure the network is of what it found;
    - "height", for any features f, with `f₊ = max(f, 0)`: `Σ f₊² / Σ f₊`, how high they are where
      they are positive.

    A ratio of two sums over places changes neither with the size of what is seen nor with the
    emptiness around it. When the input moves by g, `A(h)` becomes `A(g⁻¹h)`: the weights change
    places as the features do, and the weighted sum moves with the input. On a window that holds as
    long as the elements that have weight stay inside. To choose scales by the largest normalised
    response is from Lindeberg, "Feature detection with automatic scale selection", International
    Journal of Computer Vision 30(2), 1998.

    Shapes:
        `(batch, channels, |H|, *space)` to `(batch, |H|)`, or `(batch, |H|, *space)` with a radius;
        positive, with sum 1 over the elements, in float32 or more.

    Args:
        group: what moves.
        score: "certainty" or "height".
        sharpness: β; 0 gives the mean, and the larger, the fewer elements have weight.
        radius: choose for every place by what is near, within a Gaussian of this σ in pixels of
            scale 1, instead of once for the whole image.
        tilt: t; above 0 it favours large scales. The features of a network that was never trained
            are the higher the smaller the scale; 0.2 moves their maximum inside the window.

    Raises:
        TypeError: group is none.
        ValueError: unknown score, a negative sharpness, a radius that is not positive, or, with a
            radius, a group that does more than turn, mirror and scale.

    >>> from gcnn.groups import ScaleTranslation
    >>> logits = torch.full((1, 1, 3, 8, 8), -6.0)
    >>> logits[:, :, 1, 2:6, 2:6] = 6
    >>> Selection(ScaleTranslation([1.0, 0.9, 0.81]))(logits).round()
    tensor([[0., 1., 0.]])
    """

    def __init__(
        self,
        group: Group,
        score: str = "certainty",
        sharpness: float = 8.0,
        radius: float | None = None,
        tilt: float = 0.0,
    ) -> None:
        super().__init__()
        if score not in _SCORES:
            raise ValueError(f"score must be one of {tuple(_SCORES)}, got {score!r}")
        if not 0 <= sharpness < math.inf:
            raise ValueError(f"sharpness must be finite and not negative, got {sharpness!r}")
        if radius is not None and not 0 < radius < math.inf:
            raise ValueError(f"radius must be positive, or None for one choice, got {radius!r}")
        self.group = require_group(group)
        self.score, self.sharpness, self.radius, self.tilt = score, sharpness, radius, tilt
        if radius is not None:
            _require_similarities(group)
        if (radius is not None or tilt) and not isinstance(group.field, Regular):
            raise ValueError(
                f"a radius or a tilt needs one number for each element, not {group.field!r}"
            )

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        with outside_autocast(x.device.type):
            above, below = (self._log_sum(logs) for logs in _SCORES[self.score](x))
            score = above - below
            if self.tilt:
                tilt = self.tilt * scales_of(self.group.matrices).log().to(score)
                score = score + tilt.view(-1, *(1,) * (score.ndim - 2))
            return torch.softmax(self.sharpness * score, dim=1)

    def _log_sum(self, logs: Tensor) -> Tensor:
        """The logarithm of the sum over channels and places, from logarithms."""
        axes = (1, *range(3, logs.ndim))
        largest = logs.detach().amax(dim=axes, keepdim=True)
        sums = self._gathered((logs - largest).exp().sum(dim=1))
        # Far from all that was found it is as good as nothing, but a number.
        least = torch.finfo(logs.dtype).tiny
        return sums.clamp(min=least).log() + largest.view(*sums.shape[:2], *(1,) * (sums.ndim - 2))

    def _gathered(self, values: Tensor) -> Tensor:
        """`(batch, |H|, *space)` summed over places; with a radius, over those near each place."""
        space = tuple(range(2, values.ndim))
        if self.radius is None:
            return values.sum(dim=space)
        near, scales = values, scales_of(self.group.matrices).to(values)
        for axis in space:
            place = torch.arange(values.shape[axis], device=values.device, dtype=values.dtype)
            distance = (place[:, None] - place) / self.radius
            window = (-(distance / scales[:, None, None]).square() / 2).exp()
            along = torch.einsum("bh...n,hnm->bh...m", near.movedim(axis, -1), window)
            near = along.movedim(-1, axis)
        return near + _FAR * values.sum(dim=space, keepdim=True)

    def extra_repr(self) -> str:
        given = f"{self.score!r}, sharpness={self.sharpness:g}, tilt={self.tilt:g}"
        return given if self.radius is None else f"{given}, radius={self.radius:g}"


def select(x: Tensor, weights: Tensor) -> Tensor:
    """The weighted sum over the group, `(batch, channels, |H|, *space)` to an image.

    >>> features = torch.arange(8.0).view(1, 2, 2, 2)
    >>> select(features, torch.tensor([[0.0, 1.0]])).tolist()
    [[[2.0, 3.0], [6.0, 7.0]]]

    Args:
        x: the feature map.
        weights: `(batch, |H|)` or `(batch, |H|, *space)`, as from `Selection`.
    """
    weights = weights.to(x.dtype)
    if weights.ndim == 2:
        return torch.einsum("bch...,bh->bc...", x, weights)
    return (x * weights[:, None]).sum(dim=2)


def chosen(network: nn.Module, *inputs: Tensor) -> list[Tensor]:
    """What the selections of a network choose for an input, in the order in which they are used.

    The network runs in eval mode, without gradients.

    Args:
        network: holds one `Selection` or more, as in `GroupPool(group, "select")`.
        inputs: of the network.

    Returns:
        The weights of each selection, `(batch, |H|)` or `(batch, |H|, *space)`.

    Raises:
        ValueError: there is no selection in the network.

    >>> from gcnn.groups import P4
    >>> from gcnn.layers import GroupPool, LiftingConv
    >>> network = nn.Sequential(LiftingConv(P4(), 1, 2, 3), GroupPool(P4(), "select"))
    >>> (weights,) = chosen(network, torch.rand(5, 1, 8, 8))
    >>> weights.shape
    torch.Size([5, 4])
    """
    selections = [part for part in network.modules() if isinstance(part, Selection)]
    if not selections:
        raise ValueError(
            f'{type(network).__name__} holds no selection; use layers.GroupPool(group, "select")'
        )
    found: list[Tensor] = []
    with measuring(network), ExitStack() as hooks:
        for part in selections:
            hooks.enter_context(part.register_forward_hook(lambda *call: found.append(call[2])))
        network(*inputs)
    return found


def _require_similarities(group: Group) -> None:
    turns = group.matrices / scales_of(group.matrices)[:, None, None]
    identity = torch.eye(group.dim, dtype=turns.dtype)
    if (turns.mT @ turns - identity).abs().max() > 1e-6:
        raise ValueError(
            f"{group} does more than turn, mirror and scale, and a round neighbourhood does not "
            "move with it; use radius=None"
        )
