"""What lifting, group and transposed convolutions share: a weight, a kernel, and how it slides."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from gcnn.filters import Basis
from gcnn.groups import Group, require_group
from gcnn.kernels import Form, Kernel
from gcnn.kernels.axis_by_axis import AxisByAxis
from gcnn.layers.filter_cache import FilterCache
from gcnn.layers.memory_layout import in_layout_of, is_channels_last
from gcnn.layers.sampling_grid import positive_integer, resolve_padding
from gcnn.layers.sliding import PADDING_MODES, Correlation
from gcnn.layers.state_label import disagreement, label


class Convolution(nn.Module):
    """The base of all convolutions; holds weights, never pixels.

    The way of a weight: `forward` asks for `filters`, the `kernel` expands them (or they are
    remembered, in eval mode, until something that they depend on differs), and `sliding` hands
    them to the ordinary convolution. Where the basis factorises and it is cheaper, `sliding`
    takes the weight itself and works axis by axis.

    The state is `weight`, `bias`, and a label that says which filters they belong to.
    """

    weight: Tensor
    bias: Tensor | None
    kernel: Kernel
    sliding: Correlation

    _slide: ClassVar[type[Correlation]] = Correlation
    _lifts: ClassVar[bool] = False

    @staticmethod
    @abstractmethod
    def _make_kernel(group: Group, basis: Basis, kernel_size: int) -> Kernel:
        """The kernel of a layer of this kind."""

    def __init__(
        self,
        group: Group,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int | str = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        basis: Basis | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        require_group(group)
        if padding_mode not in PADDING_MODES:
            raise ValueError(f"padding_mode must be one of {PADDING_MODES}, got {padding_mode!r}")
        self.groups = positive_integer("groups", groups)
        self.in_channels = positive_integer("in_channels", in_channels)
        self.out_channels = positive_integer("out_channels", out_channels)
        for name in ("in_channels", "out_channels"):
            if getattr(self, name) % groups:
                raise ValueError(f"{name} {getattr(self, name)} is not divisible by {groups=}")
        self.kernel_size = positive_integer("kernel_size", kernel_size)
        self.stride = positive_integer("stride", stride)
        self.dilation = positive_integer("dilation", dilation)
        self.padding = resolve_padding(padding, kernel_size, stride, dilation)
        self.padding_mode = padding_mode
        self.basis = group.basis if basis is None else basis
        self.settle(group)
        channels = self.sliding.weight_channels(in_channels, out_channels, groups)
        shape = (*channels, *self.kernel.shape)
        self.weight = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
        if bias:
            self.bias = nn.Parameter(torch.empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.kernel.prepare(self.weight)
        self.reset_parameters()

    def settle(self, group: Group) -> None:
        """Take the kernel of a group. A weight belongs to all windows of an infinite group."""
        self.group = group
        self.kernel = self._make_kernel(group, self.basis, self.kernel_size)
        # A window of pixels that grows beyond that of scale 1 keeps the size of the output.
        grown = (self.kernel.size - self.kernel_size) // 2
        padding = self.padding + self.dilation * grown
        self.sliding = self._slide(
            group.dim, self.kernel.size, self.stride, padding, self.dilation, self.padding_mode
        )
        if self.groups > 1 and not self.kernel.arrangement.divides:
            raise ValueError(
                f"groups={self.groups} is not possible on {group}, whose elements already form "
                "groups of channels; use groups=1"
            )
        bank = None if self.groups > 1 else self.kernel.axis_by_axis
        self._axes = None if bank is None else AxisByAxis(bank, self.sliding)
        self._cache = FilterCache()
        if "weight" in self._parameters:
            self.kernel.prepare(self.weight)

    def reset_parameters(self) -> None:
        """Draw the weights so that features keep their variance through ReLUs; zero the bias.

        He et al., "Delving deep into rectifiers", ICCV 2015: an output has the variance
        `in · gain of the kernel · var(weight)` times the mean square of the input, which a ReLU
        halves; `expected_gain` says for which input.
        """
        fan_in = self.in_channels / self.groups * self.kernel.gain * self.sliding.reached()
        nn.init.normal_(self.weight, std=math.sqrt(2 / fan_in))
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def filters(self, form: Form | None = None) -> Tensor:
        """The filters of the ordinary convolution this layer amounts to.

        Args:
            form: dtype and memory layout; those of the weights unless given.

        Returns:
            `(out · |H|, in / groups [· |H|], *kernel)`, on the device of the weights; where
            elements only see their M neighbours `(|H| · out, M · in, *kernel)`, for a convolution
            with |H| groups of channels.
        """
        sources = (self.weight, *self.kernel.dependencies())
        form = form or Form(self.weight.dtype)
        return self._cache.get(self, sources, form, self.kernel.expand)

    def expanded_bias(self) -> Tensor | None:
        """The bias of that convolution, one number a channel; None if there is none to fuse."""
        if self.bias is None:
            return None
        return self.kernel.arrangement.bias(self.kernel.output_field.constant(self.bias))

    def forward(self, x: Tensor) -> Tensor:
        """From an image or a feature map to a feature map; see the class for shapes."""
        dim = self.group.dim
        features = x if x.ndim == dim + 3 else x.unsqueeze(2)
        self._require(x, features)
        self.sliding.require_grid(x.shape[-dim:])
        y = None if self._axes is None else self._axes.convolve(features, self.weight, self.bias)
        return in_layout_of(x, self._by_filters(features) if y is None else y, dim)

    def _by_filters(self, features: Tensor) -> Tensor:
        arrangement, bias = self.kernel.arrangement, self.expanded_bias()
        plain, groups = arrangement.enter(features), self.groups * arrangement.blocks
        form = Form.of(self.weight, last=is_channels_last(plain, self.group.dim))
        y = arrangement.leave(self.sliding.with_filters(plain, self.filters(form), bias, groups))
        if bias is not None or self.bias is None:
            return y
        # Under autocast features are in half precision, and stay so.
        constant = self.kernel.output_field.constant(self.bias.to(y.dtype))
        return y + constant.view(*constant.shape, *(1,) * self.group.dim)

    def _require(self, x: Tensor, features: Tensor) -> None:
        field, dim = self.kernel.input_field, self.group.dim
        fits = x.ndim == (dim + 2 if self._lifts else dim + 3)
        if fits and features.shape[1:3] == (self.in_channels, field.size):
            return
        name = type(self).__name__
        if self._lifts:
            raise ValueError(
                f"{name} takes an image (batch, {self.in_channels}, *{dim} of space), got shape "
                f"{tuple(x.shape)}"
            )
        raise ValueError(
            f"{name} takes a feature map (batch, {self.in_channels}, {field.size}, *{dim} of "
            f"space) on {self.group}, got shape {tuple(x.shape)}; images are lifted first"
        )

    def get_extra_state(self) -> Tensor:
        """The label of the weights: which group, basis and window they belong to."""
        return label(self.group, self.basis, self.kernel_size)

    def set_extra_state(self, state: Tensor) -> None:
        """Nothing to take: the label has been compared."""

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *others: Any) -> None:
        *_, errors = others
        key, own = f"{prefix}_extra_state", self.get_extra_state()
        # States from before there were labels have none.
        why = disagreement(state.get(key, own), own)
        if why is not None:
            errors.append(f"{prefix.rstrip('.') or type(self).__name__}: {why}")
            return
        super()._load_from_state_dict({**state, key: own}, prefix, *others)
        # The weight itself may have been replaced by one of another dtype (assign=True).
        self.kernel.prepare(self.weight)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Convolution:
        super()._apply(lambda tensor: _without_format(fn, tensor), recurse)  # type: ignore[no-untyped-call]
        self._cache.clear()
        self.kernel.prepare(self.weight)
        return self

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self.kernel.prepare(self.weight)

    def train(self, mode: bool = True) -> Convolution:
        if mode:
            self._cache.clear()
        return super().train(mode)

    def extra_repr(self) -> str:
        text = (
            f"{self.group}, {self.in_channels}, {self.out_channels}, "
            f"kernel_size={self.kernel_size}, stride={self.stride}"
        )
        for name, default in (("padding", 0), ("dilation", 1), ("groups", 1)):
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode!r}"
        return f"{text}, basis={self.basis}"


def _without_format(fn: Callable[[Tensor], Tensor], tensor: Tensor) -> Tensor:
    """`fn(tensor)`; what has four axes and is no image must not be given the format of one."""
    if tensor.ndim != 4:
        return fn(tensor)
    return torch.unflatten(fn(tensor.flatten(2)), 2, tensor.shape[2:])
