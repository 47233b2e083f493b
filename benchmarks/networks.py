"""What a whole U-Net costs, in steps of the plain one of the same width and number of convolutions.

The plain network has as many channels as the other has fields times elements, and one more unit of
convolution, norm and ReLU in the place of the lifting layer. Every round calls all networks one
after the other on one thread, after a warm-up; the figures are medians of the rounds' ratios, and
`plain` is the median duration of the plain network in milliseconds. `step` is forward, loss and
backward in train mode, `inference` forward in eval mode without gradients, and `frozen` the same
after `layers.freeze`. What a library cannot do is `-`.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks import tables
from benchmarks.libraries import NAMES, Library, Unavailable, load
from benchmarks.measure import ratios, settle_allocator
from gcnn import groups, layers
from gcnn.models import UNet
from gcnn.models.building_blocks import BATCH_NORMS, CONVOLUTIONS

_NETWORKS = ("C4", "C8", "scales")
# Fields at every level, by the number of rotations.
_FIELDS = {4: (8, 16, 32, 64, 128), 8: (4, 8, 16, 32, 64)}
_IMAGES = (4, 3, 96, 96)
_VOLUME_FIELDS = (4, 8, 16)
_VOLUMES = (2, 4, 48, 64, 48)


@dataclass(frozen=True)
class Mode:
    """In which dtype and layout a network computes."""

    name: str
    autocast: bool = False
    channels_last: bool = False

    def step(self, network: nn.Module, images: Tensor) -> Callable[[], object]:
        """Forward, loss and backward, with the gradients of the parameters."""
        network, images = self._laid_out(network, images)
        network.train()

        def once() -> None:
            network.zero_grad()
            self._logits(network, images).square().mean().backward()

        return once

    def inference(self, network: nn.Module, images: Tensor) -> Callable[[], object]:
        """Forward in eval mode, without gradients."""
        network, images = self._laid_out(network, images)
        network.eval()
        return torch.no_grad()(lambda: self._logits(network, images))

    def _logits(self, network: nn.Module, images: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            logits: Tensor = network(images)
        return logits.float()

    def _laid_out(self, network: nn.Module, images: Tensor) -> tuple[nn.Module, Tensor]:
        layout = torch.contiguous_format
        if self.channels_last:
            layout = torch.channels_last if images.ndim == 4 else torch.channels_last_3d
        network.to(memory_format=layout)  # type: ignore[call-overload]
        return network, images.contiguous(memory_format=layout)


MODES = (Mode("float32"), Mode("bfloat16", True), Mode("bfloat16, channels-last", True, True))


def with_lifting(plain: UNet, in_channels: int) -> UNet:
    """The plain network, with a unit in the place of the lifting layer before it.

    Args:
        plain: takes as many channels as its first level has.
        in_channels: of the image.
    """
    first, dim = plain.channels[0], plain.dim
    plain.lift = nn.Sequential(
        CONVOLUTIONS[dim](in_channels, first, 3, padding=1), BATCH_NORMS[dim](first), nn.ReLU()
    )
    return plain


def measure_images(order: int, libraries: list[Library], rounds: int) -> list[tables.Row]:
    """Rotation-equivariant U-Nets on images, in all modes."""
    fields = _FIELDS[order]
    wide = tuple(order * width for width in fields)
    plain = with_lifting(UNet(wide[0], 1, None, wide), _IMAGES[1])
    networks = {library.name: library.unet(order, fields) for library in libraries}
    return _measure(f"C{order}", networks, plain, torch.randn(_IMAGES), rounds)


def measure_volumes(rounds: int) -> list[tables.Row]:
    """The scale-equivariant U-Net of the tumour study on volumes, in all modes."""
    unet = partial(UNet, block="residual", downsampling="strided", upsampling="transposed")
    scales = groups.ScaleTranslation([1.0, 0.9, 0.81, 0.729], dim=3)
    network = unet(_VOLUMES[1], 1, scales, _VOLUME_FIELDS, kernel_size=7, pool="mean")
    wide = tuple(scales.order * width for width in _VOLUME_FIELDS)
    plain = unet(wide[0], 1, None, wide, dim=3)
    volumes = torch.randn(_VOLUMES)
    return _measure("scales", {"gcnn": network}, with_lifting(plain, _VOLUMES[1]), volumes, rounds)


def _measure(
    name: str, networks: dict[str, nn.Module], plain: nn.Module, images: Tensor, rounds: int
) -> list[tables.Row]:
    rows: list[tables.Row] = []
    for mode in MODES:
        calls = {key: mode.step(network, images) for key, network in networks.items()}
        rows.append(_row(name, mode, "step", calls, mode.step(plain, images), rounds))
    for mode in MODES:
        calls = {key: mode.inference(network, images) for key, network in networks.items()}
        base = mode.inference(plain, images)
        rows.append(_row(name, mode, "inference", calls, base, rounds))
        if "gcnn" in networks:
            calls = {"gcnn": mode.inference(layers.freeze(networks["gcnn"]), images)}
            rows.append(_row(name, mode, "frozen", calls, base, rounds))
    keys = list(dict.fromkeys(key for row in rows for key in row))
    return [{key: row.get(key, "-") for key in keys} for row in rows]


def _row(
    name: str,
    mode: Mode,
    what: str,
    calls: dict[str, Callable[[], object]],
    base: Callable[[], object],
    rounds: int,
) -> tables.Row:
    possible = {key: call for key, call in calls.items() if _is_possible(call)}
    found, duration = ratios(list(possible.values()), base, rounds)
    start = {"network": name, "mode": mode.name, "what": what, "plain": 1e3 * duration}
    return {**start, **dict.fromkeys(calls, "-"), **dict(zip(possible, found, strict=True))}


def _is_possible(call: Callable[[], object]) -> bool:
    try:
        call()
    except Exception as reason:  # peers fail in many ways in what they do not support
        print(f"not possible: {type(reason).__name__}: {reason}")
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--library", nargs="+", choices=NAMES, default=["gcnn"])
    parser.add_argument("--networks", nargs="+", choices=_NETWORKS, default=_NETWORKS)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    settle_allocator()
    libraries = []
    for name in options.library:
        try:
            libraries.append(load(name))
        except Unavailable as reason:
            print(f"skipped {name}: {reason}")
    rows: list[tables.Row] = []
    for name in options.networks:
        if name == "scales":
            found = measure_volumes(options.rounds)
        else:
            found = measure_images(int(name.removeprefix("C")), libraries, options.rounds)
        tables.show(f"{name}, in durations of the plain network", found)
        rows += found
    if options.json:
        tables.write(options.json, rows)


if __name__ == "__main__":
    main()
