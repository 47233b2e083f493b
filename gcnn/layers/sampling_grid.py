"""Which sizes, strides and kernels keep the output grid centred on the input grid.

A group acts about the centre of the grid. A layer that slides a window commutes with it only if
the windows fill the padded input with none left over: `(n + 2 padding - extent) % stride == 0`.
Otherwise the output grid is shifted by half a pixel or more, and even a rotation by 90° is lost.
"""

from __future__ import annotations

from collections.abc import Sequence


def positive_integer(name: str, value: object, minimum: int = 1) -> int:
    """`value` if it is an integer of at least `minimum`; one number serves all axes.

    Raises:
        ValueError: it is not (a tuple, even of equal numbers, is not).
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise ValueError(
            f"{name} must be one integer ≥ {minimum}, the same for all axes since the group mixes "
            f"them, got {value!r}"
        )
    return value


def resolve_padding(padding: int | str, kernel_size: int, stride: int, dilation: int) -> int:
    """The number of pixels to pad on every side; "same" keeps the size, "valid" is 0.

    Raises:
        ValueError: "same" with a stride, or with an even extent, which cannot be centred.
    """
    if padding == "valid":
        return 0
    if padding == "same":
        extent = dilation * (kernel_size - 1)
        if stride != 1:
            raise ValueError(f'padding="same" needs stride 1, got stride {stride}')
        if extent % 2:
            raise ValueError(
                f'padding="same" with kernel_size {kernel_size} and dilation {dilation} would pad '
                "one side more than the other and shift the grid; use an odd kernel_size"
            )
        return extent // 2
    if isinstance(padding, str):
        raise ValueError(f'padding must be an integer, "same" or "valid", got {padding!r}')
    return positive_integer("padding", padding, minimum=0)


def require_centred(
    size: Sequence[int], kernel_size: int, stride: int, padding: int = 0, dilation: int = 1
) -> None:
    """Refuse an input whose output grid would not be centred on it.

    Args:
        size: the spatial shape of the input.

    Raises:
        ValueError: naming the size, and the nearest ones that fit.
    """
    extent = dilation * (kernel_size - 1) + 1
    for n in size:
        spare = n + 2 * padding - extent
        if spare < 0:
            raise ValueError(
                f"input of size {tuple(size)} is smaller than the window: {n} + 2·{padding} "
                f"(padding) < {extent}"
            )
        if spare % stride:
            raise ValueError(
                f"input of size {tuple(size)} leaves {spare % stride} pixel(s) over after windows "
                f"of {extent} at stride {stride} with padding {padding}, which would shift the "
                f"grid and break equivariance; sizes like {n - spare % stride} or "
                f"{n - spare % stride + stride} fit"
            )
