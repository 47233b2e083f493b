"""Derivatives that keep no expanded maps: they are computed again where they are needed.

A correlation is one of the partial derivatives of a form that is linear in input, output and
weights, and so are all derivatives of those: one function has every derivative of every order.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gcnn.kernels.axis_by_axis import products
from gcnn.kernels.axis_by_axis.plan import Plan
from gcnn.kernels.own_gradient import outside_autocast


def correlate(
    x: Tensor, mixing: Tensor, bias: Tensor | None, plan: Plan, dtype: torch.dtype
) -> Tensor:
    """From the input to the output, differentiable any number of times.

    All is computed in the dtype of the plan and rounded once to `dtype`, as one operation is.
    """
    _, y, _ = _partials(x, None, mixing, bias, plan, (False, True, False), dtype)
    return _there(y)


def transpose(
    y: Tensor, mixing: Tensor, bias: Tensor | None, plan: Plan, dtype: torch.dtype
) -> Tensor:
    """The adjoint of `correlate` in x, differentiable any number of times."""
    x, _, _ = _partials(None, y, mixing, bias, plan, (True, False, False), dtype)
    return _there(x)


Partials = tuple[Tensor | None, Tensor | None, Tensor | None]


def _partials(*given: Any) -> Partials:
    parts: Partials = _Partials.apply(*given)  # type: ignore[no-untyped-call]
    return parts


class _Partials(torch.autograd.Function):
    """`products.partials`, with features in `dtype`."""

    @staticmethod
    def forward(
        x: Tensor | None,
        y: Tensor | None,
        mixing: Tensor,
        bias: Tensor | None,
        plan: Plan,
        wanted: tuple[bool, bool, bool],
        dtype: torch.dtype,
    ) -> Partials:
        with outside_autocast(mixing.device.type):
            by_x, by_y, by_mixing = products.partials(x, y, mixing, bias, plan, wanted)
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
        each = [
            _Partials.apply(  # type: ignore[no-untyped-call]
                *(
                    a.select(d, i) if isinstance(d, int) else a
                    for a, d in zip(args, in_dims, strict=True)
                )
            )
            for i in range(info.batch_size)
        ]
        parts = tuple(
            None if part[0] is None else torch.stack(part) for part in zip(*each, strict=True)
        )
        return parts, tuple(None if part is None else 0 for part in parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        given, plan = ctx.saved_tensors, ctx.plan
        totals: list[Tensor | None] = [None, None, None]
        by_bias = None
        for place, gradient in enumerate(gradients):
            if gradient is None:
                continue
            # The gradient by one argument is the form with the cotangent in its place.
            form = [*given[:place], gradient, *given[place + 1 :]]
            wanted = tuple(ctx.needs_input_grad[i] and i != place for i in range(3))
            if any(wanted):
                parts = _partials(*form, None, plan, wanted, plan.dtype)
                totals = [_sum(one, other) for one, other in zip(totals, parts, strict=True)]
            if ctx.needs_input_grad[3]:
                everywhere = [axis for axis in range(gradient.ndim) if axis != 1]
                by_bias = gradient.sum(everywhere, dtype=plan.dtype).to(ctx.bias_dtype)
        by_x, by_y, by_mixing = (
            by if by is None else by.to(t.dtype) for by, t in zip(totals, given, strict=True)
        )
        return by_x, by_y, by_mixing, by_bias, None, None, None


def _there(part: Tensor | None) -> Tensor:
    if part is None:
        raise RuntimeError("a derivative that was wanted is missing")
    return part


def _sum(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other
