"""What lifting and group convolutions share: weights, the cached filters, and the convolution."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gcnn.filters import Basis, SeparableBasis
from gcnn.groups import Group
from gcnn.layers.arrangement import Arrangement
from gcnn.layers.filter_cache import FilterCache
from gcnn.layers.initialization import expected_gain
from gcnn.layers.memory_layout import in_layout_of
from gcnn.layers.sampling_grid import positive_integer, require_centred, resolve_padding
from gcnn.layers.separable import AxisByAxis, Window, differentiable_by_axes

_CONVOLUTIONS: dict[int, Callable[..., Tensor]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class Convolution(nn.Module):
    """The base of lifting and group convolutions; holds weights, never pixels.

    The state is `weight` and `bias` alone. The sampled basis is rebuilt in full precision whenever
    the layer changes its dtype or device, and filters expanded in eval mode are remembered until
    the weights differ.
    """

    weight: Tensor
    bias: Tensor | None
    _basis: Tensor
    _relative: Tensor

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
        if not isinstance(group, Group):
            raise TypeError(f"group must be a gcnn.groups.Group, got {type(group).__name__}")
        if padding_mode not in _PADDING_MODES:
            raise ValueError(f"padding_mode must be one of {_PADDING_MODES}, got {padding_mode!r}")
        self.group = group
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
        self.basis = basis or group.basis
        self._sampled = self.basis.sample(group.matrices, kernel_size)
        self.register_buffer("_basis", self._sampled, persistent=False)
        self.register_buffer("_relative", group.relative, persistent=False)
        self.arrangement = self._arrange()
        shape = (*self._weight_channels(), *self._weight_shape())
        self.weight = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
        if bias:
            self.bias = nn.Parameter(torch.empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self._cache = FilterCache()
        self._by_axes = self._separable()
        self._place_tables()
        self.reset_parameters()

    def _weight_channels(self) -> tuple[int, int]:
        """The leading axes of the weight."""
        return self.out_channels, self.in_channels // self.groups

    @abstractmethod
    def _arrange(self) -> Arrangement:
        """How feature maps are the channels of an ordinary convolution."""

    @abstractmethod
    def _seen(self) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
        """The computed elements, and the elements of the input that each of them sees."""

    @abstractmethod
    def _weight_shape(self) -> tuple[int, ...]:
        """The shape of a weight between one input and one output field."""

    @abstractmethod
    def _expand(self, weight: Tensor, basis: Tensor, relative: Tensor) -> Tensor:
        """Filters of the ordinary convolution from weights."""

    def reset_parameters(self) -> None:
        """Draw the weights so that features keep their variance through ReLUs; zero the bias.

        He et al., "Delving deep into rectifiers", ICCV 2015: an output has the variance
        `in · interacting elements · gain of the basis · var(weight)` times the mean square of the
        input, which a ReLU halves; `expected_gain` says for which input.
        """
        nn.init.normal_(self.weight, std=math.sqrt(2 / self._fan_in()))
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def _fan_in(self) -> float:
        """The variance of an output for weights of variance 1, in units of the input's."""
        return self.weight.shape[1] * self._interacting() * expected_gain(self._sampled)

    def _interacting(self) -> int:
        """How many input elements reach one output element."""
        return 1

    def filters(self) -> Tensor:
        """The filters of the ordinary convolution this layer amounts to.

        Returns:
            `(out · |H|, in / groups [· |H|], *kernel)`, in the dtype and device of the weights;
            where elements only see their M neighbours `(|H| · out, M · in, *kernel)`, for a
            convolution with |H| groups of channels.
        """
        return self._cache.get(self, self.weight, self._expanded)

    def expanded_bias(self) -> Tensor | None:
        """The bias of that convolution, one number a channel; None if there is none to fuse."""
        return None if self.bias is None else self.arrangement.bias(self.bias)

    def _expanded(self, weight: Tensor) -> Tensor:
        device = weight.device.type
        if not torch.amp.is_autocast_available(device):
            return self._expanded_in_full(weight)
        # Under autocast the product with the basis would round the basis to half precision,
        # and with it the equivariance.
        with torch.autocast(device, enabled=False):
            return self._expanded_in_full(weight)

    def _expanded_in_full(self, weight: Tensor) -> Tensor:
        basis, relative = self._basis, self._relative
        if basis.device != weight.device or basis.dtype != _table_dtype(weight):
            # The weights were replaced by others, or a function was called with others.
            basis, relative = self._tables(weight)
        return self._expand(weight.to(basis.dtype), basis, relative).to(weight.dtype)

    def _tables(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """The sampled basis and the relative table, for weights of this dtype and device."""
        basis = self._sampled.to(weight.device, _table_dtype(weight))
        return basis, self.group.relative.to(weight.device)

    def _separable(self) -> AxisByAxis | None:
        if not isinstance(self.basis, SeparableBasis) or self.groups > 1:
            return None
        factors = self.basis.factors(self.group.matrices, self.kernel_size)
        if factors is None or self.group.dim == 1:
            return None
        window = Window(self.stride, self.padding, self.dilation, self.padding_mode)
        outputs, seen = self._seen()
        return AxisByAxis(factors, seen, outputs, window)

    def _convolve(self, x: Tensor) -> Tensor:
        """From the input to a feature map, in the cheaper of two ways."""
        self._require_grid(x.shape[-self.group.dim :])
        if self._by_axes is not None and differentiable_by_axes(x, self.weight):
            y = self._along_axes(self._by_axes, x)
            if y is not None:
                return self._with_bias(in_layout_of(x, y, self.group.dim))
        return self._with_dense_filters(x)

    def _along_axes(self, axes: AxisByAxis, x: Tensor) -> Tensor | None:
        """The convolution axis by axis, without the bias; None where dense filters are cheaper."""
        plan = axes.plan(x, tuple(x.shape[-self.group.dim :]), self.weight)
        return None if plan is None else axes.correlate(x, self.weight, plan)

    def _with_dense_filters(self, x: Tensor) -> Tensor:
        bias = self.expanded_bias()
        y = self.arrangement.leave(self._plain(self.arrangement.enter(x), bias))
        y = in_layout_of(x, y, self.group.dim)
        return y if bias is not None else self._with_bias(y)

    def _require_grid(self, size: Sequence[int]) -> None:
        require_centred(size, self.kernel_size, self.stride, self.padding, self.dilation)

    def _plain(self, x: Tensor, bias: Tensor | None) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros" and padding:
            x = F.pad(x, (padding,) * (2 * self.group.dim), mode=self.padding_mode)
            padding = 0
        blocks = self.arrangement.blocks
        if blocks > 1 and self.kernel_size == self.stride == 1 and not padding:
            return _pointwise(x, self.filters(), blocks)
        return _CONVOLUTIONS[self.group.dim](
            x,
            self.filters(),
            bias,
            stride=self.stride,
            padding=padding,
            dilation=self.dilation,
            groups=self.groups * blocks,
        )

    def _with_bias(self, y: Tensor) -> Tensor:
        if self.bias is None:
            return y
        # Under autocast features are in half precision, and stay so.
        return y + self.bias.to(y.dtype).view(-1, *(1,) * (y.ndim - 2))

    def _place_tables(self) -> None:
        self._basis, self._relative = self._tables(self.weight)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Convolution:
        super()._apply(lambda tensor: _without_format(fn, tensor), recurse)  # type: ignore[no-untyped-call]
        # From the float64 original, so that float32 and back loses nothing.
        self._place_tables()
        self._cache.clear()
        return self

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        # The weights themselves may have been replaced (assign=True).
        self._place_tables()

    def train(self, mode: bool = True) -> Convolution:
        if mode:
            self._cache.clear()
        return super().train(mode)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cache": FilterCache()}

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


def _pointwise(x: Tensor, filters: Tensor, blocks: int) -> Tensor:
    """A 1×1 convolution in groups of channels: as a product several times as fast on a CPU."""
    channels = torch.unflatten(x.flatten(2), 1, (blocks, -1))
    matrices = torch.unflatten(filters.flatten(1), 0, (blocks, -1))
    return torch.unflatten((matrices @ channels).flatten(1, 2), 2, x.shape[2:])


def _without_format(fn: Callable[[Tensor], Tensor], tensor: Tensor) -> Tensor:
    """`fn(tensor)`; what has four axes and is no image must not be given the format of one."""
    if tensor.ndim != 4:
        return fn(tensor)
    return torch.unflatten(fn(tensor.flatten(2)), 2, tensor.shape[2:])


def _table_dtype(weight: Tensor) -> torch.dtype:
    # Half precision is for features; filters are expanded in float32 at least.
    return torch.promote_types(weight.dtype, torch.float32)
