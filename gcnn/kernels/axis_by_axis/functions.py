"""A convolution axis by axis and its derivatives, which keep no expanded maps.

With features x and y of both sides and weights M, `⟨y, correlate(x, M)⟩` is linear in each of the
three. Its partial derivatives are the correlation, its adjoint, and the gradient of the weights,
and so are all derivatives of those: one function has every derivative of every order. Features of
both sides are expanded until channels are mixed, where the form is
`⟨leaves of y, M · leaves of x⟩`, and are expanded again where a derivative needs them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gcnn.kernels.axis_by_axis.plan import Plan
from gcnn.kernels.axis_by_axis.scratch import Scratch
from gcnn.kernels.own_gradient import outside_autocast

Partials = tuple[Tensor | None, Tensor | None, Tensor | None]
Wanted = tuple[bool, bool, bool]


def convolve(
    features: Tensor, side: int, mixing: Tensor, bias: Tensor | None, plan: Plan, dtype: torch.dtype
) -> Tensor:
    """From the features of one side to those of the other, differentiable any number of times.

    All is computed in the dtype of the plan and rounded once to `dtype`, as one operation is.

    Args:
        features: of the input (side 0), or of the output (side 1) for the adjoint.
    """
    given = (None, features) if side else (features, None)
    wanted = (side == 1, side == 0, False)
    found: Tensor = _derivatives(*given, mixing, bias, plan, wanted, dtype)[1 - side]
    return found


def partials(
    x: Tensor | None,
    y: Tensor | None,
    mixing: Tensor,
    bias: Tensor | None,
    plan: Plan,
    wanted: Wanted,
) -> Partials:
    """The partial derivatives of `⟨y, correlate(x, mixing)⟩` that are wanted, None for the others.

    Args:
        x: `(batch, in, |H|, *space)`, unless only the derivative by x is wanted.
        y: `(batch, out, |H'|, *space of the output)`, unless only that by y is.
        mixing: `(M, leaves after · out, leaves before · in)`.
        bias: to add to the features, one number a field.
        plan: for this size.
        wanted: by x, by y, and by the weights.

    Returns:
        tensors as x, y and mixing, in the dtype of the plan.
    """
    # What is not wanted is not computed, and its partners need not be expanded.
    given = {
        side: features
        for side, features in enumerate((x, y))
        if features is not None and (wanted[1 - side] or wanted[2])
    }
    batch = max(map(len, given.values()))
    found = {side: _start(plan, side, batch, mixing, bias) for side in (0, 1) if wanted[side]}
    by_mixing = torch.zeros_like(mixing) if wanted[2] else None
    room = Scratch(mixing)
    for first in range(0, batch, plan.samples):
        here = slice(first, first + plan.samples)
        for step in plan.steps:
            matrix = torch.cat([mixing[m] for m in step.relatives], dim=1)
            leaves = {
                side: step.sides[side].expand(features[here], f"leaves {side}", room)
                for side, features in given.items()
            }
            for side, target in found.items():
                mixer = matrix if side else matrix.T
                step.sides[side].contract(mixer, leaves[1 - side], target[here], room)
            if by_mixing is not None:
                parts = (leaves[1] @ leaves[0].T).chunk(len(step.relatives), dim=1)
                for m, part in zip(step.relatives, parts, strict=True):
                    by_mixing[m] += part
    return found.get(0), found.get(1), by_mixing


def _start(plan: Plan, side: int, batch: int, mixing: Tensor, bias: Tensor | None) -> Tensor:
    """The features of a side before anything is added to them."""
    channels = mixing.shape[2 - side] // plan.leaves[side]
    shape = (batch, channels, *plan.sizes[side])
    if bias is None:
        return mixing.new_zeros(shape)
    return mixing.new_empty(shape).copy_(bias.view(-1, *(1,) * (len(shape) - 2)))


def _derivatives(*given: Any) -> Any:
    return _Derivatives.apply(*given)  # type: ignore[no-untyped-call]


class _Derivatives(torch.autograd.Function):
    """`partials`, with features in `dtype`."""

    @staticmethod
    def forward(
        x: Tensor | None,
        y: Tensor | None,
        mixing: Tensor,
        bias: Tensor | None,
        plan: Plan,
        wanted: Wanted,
        dtype: torch.dtype,
    ) -> Partials:
        with outside_autocast(mixing.device.type):
            by_x, by_y, by_mixing = partials(x, y, mixing, bias, plan, wanted)
        by_x, by_y = (None if by is None else by.to(dtype) for by in (by_x, by_y))
        return by_x, by_y, by_mixing

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Partials) -> None:
        x, y, mixing, bias, ctx.plan, _, _ = inputs
        ctx.save_for_backward(x, y, mixing)
        ctx.bias_dtype = None if bias is None else bias.dtype
        ctx.set_materialize_grads(False)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Any, Any]:
        """For batched gradients: one after the other."""
        each = (
            _derivatives(
                *(
                    a.select(d, i) if isinstance(d, int) else a
                    for a, d in zip(args, in_dims, strict=True)
                )
            )
            for i in range(info.batch_size)
        )
        parts = [None if p[0] is None else torch.stack(p) for p in zip(*each, strict=True)]
        return tuple(parts), tuple(None if part is None else 0 for part in parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        given, plan, needed = ctx.saved_tensors, ctx.plan, ctx.needs_input_grad
        found: list[list[Tensor]] = [[], [], []]
        by_bias = None
        for place, gradient in enumerate(gradients):
            if gradient is None:
                continue
            # The gradient by one argument is the form with the cotangent in its place.
            form = [*given[:place], gradient, *given[place + 1 :]]
            wanted = tuple(needed[i] and i != place for i in range(3))
            if any(wanted):
                parts = _derivatives(*form, None, plan, wanted, plan.dtype)
                for terms, part in zip(found, parts, strict=True):
                    terms.extend([] if part is None else [part])
            if needed[3]:
                everywhere = [axis for axis in range(gradient.ndim) if axis != 1]
                by_bias = gradient.sum(everywhere, dtype=plan.dtype).to(ctx.bias_dtype)
        totals = (
            sum(terms[1:], terms[0]).to(argument.dtype) if terms else None
            for terms, argument in zip(found, given, strict=True)
        )
        return *totals, by_bias, None, None, None
