"""Derivatives that keep no expanded maps: they are computed again where they are needed.

A correlation is bilinear in features and weights, so that its derivatives are its two adjoints,
and theirs are the same three products again.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gcnn.kernels.separable import products
from gcnn.kernels.separable.plan import Plan


def correlate(x: Tensor, mixing: Tensor, plan: Plan) -> Tensor:
    """`products.correlate`, differentiable any number of times."""
    y: Tensor = _Correlate.apply(x, mixing, plan)  # type: ignore[no-untyped-call]
    return y


def transpose(y: Tensor, mixing: Tensor, plan: Plan, order: int) -> Tensor:
    """`products.transpose`, differentiable any number of times."""
    x: Tensor = _Transpose.apply(y, mixing, plan, order)  # type: ignore[no-untyped-call]
    return x


def _mixing_gradient(x: Tensor, y: Tensor, mixing: Tensor, plan: Plan) -> Tensor:
    gradient: Tensor = _MixingGradient.apply(x, y, mixing, plan)  # type: ignore[no-untyped-call]
    return gradient


class _Correlate(torch.autograd.Function):
    """`products.correlate`."""

    @staticmethod
    def forward(x: Tensor, mixing: Tensor, plan: Plan) -> Tensor:
        return products.correlate(x, mixing, plan)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Plan], output: Tensor) -> None:
        x, mixing, ctx.plan = inputs
        ctx.save_for_backward(x, mixing)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, mixing = ctx.saved_tensors
        order = x.shape[2]
        towards_x = towards_mixing = None
        if ctx.needs_input_grad[0]:
            towards_x = transpose(gradient, mixing, ctx.plan, order)
        if ctx.needs_input_grad[1]:
            towards_mixing = _mixing_gradient(x, gradient, mixing, ctx.plan)
        return towards_x, towards_mixing, None


class _Transpose(torch.autograd.Function):
    """`products.transpose`."""

    @staticmethod
    def forward(y: Tensor, mixing: Tensor, plan: Plan, order: int) -> Tensor:
        return products.transpose(y, mixing, plan, order)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Plan, int], output: Tensor) -> None:
        y, mixing, ctx.plan, _ = inputs
        ctx.save_for_backward(y, mixing)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        y, mixing = ctx.saved_tensors
        towards_y = towards_mixing = None
        if ctx.needs_input_grad[0]:
            towards_y = correlate(gradient, mixing, ctx.plan)
        if ctx.needs_input_grad[1]:
            towards_mixing = _mixing_gradient(gradient, y, mixing, ctx.plan)
        return towards_y, towards_mixing, None, None


class _MixingGradient(torch.autograd.Function):
    """`products.mixing_gradient`; of `mixing` it only uses the shape."""

    @staticmethod
    def forward(x: Tensor, y: Tensor, mixing: Tensor, plan: Plan) -> Tensor:
        return products.mixing_gradient(x, y, mixing, plan)

    @staticmethod
    def setup_context(
        ctx: Any, inputs: tuple[Tensor, Tensor, Tensor, Plan], output: Tensor
    ) -> None:
        x, y, _, ctx.plan = inputs
        ctx.save_for_backward(x, y)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, y = ctx.saved_tensors
        towards_x = towards_y = None
        if ctx.needs_input_grad[0]:
            towards_x = transpose(y, gradient, ctx.plan, x.shape[2])
        if ctx.needs_input_grad[1]:
            towards_y = correlate(x, gradient, ctx.plan)
        return towards_x, towards_y, None, None
