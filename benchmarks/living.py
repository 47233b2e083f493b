"""Living with a library: what an engineer does with a network, as checks that pass or fail."""

import argparse
import copy
import io
import multiprocessing
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks import tables
from benchmarks.libraries import NAMES, Layer, Library, Unavailable, load

LAYER = Layer(order=4, fields=4, kernel_size=3)


class Failed(Exception):
    """A check did not hold; the message says how."""


def require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Failed(otherwise)


def segmenter(library: Library) -> tuple[nn.Sequential, Tensor, Tensor]:
    """A network in eval mode, a batch of images, and its output there."""
    torch.manual_seed(0)
    network = library.segmenter().eval()
    images = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        return network, images, network(images)


def same(network: Callable[[Tensor], Tensor], images: Tensor, expected: Tensor) -> None:
    with torch.no_grad():
        require(torch.allclose(network(images), expected, atol=1e-5), "another output")


def survives_pickle(library: Library) -> None:
    network, images, expected = segmenter(library)
    same(pickle.loads(pickle.dumps(network)), images, expected)


def survives_torch_save(library: Library) -> None:
    network, images, expected = segmenter(library)
    file = io.BytesIO()
    torch.save(network, file)
    file.seek(0)
    same(torch.load(file, weights_only=False), images, expected)


def survives_deepcopy_in_eval_mode(library: Library) -> None:
    network, images, expected = segmenter(library)
    same(copy.deepcopy(network), images, expected)


def checkpoint(network: nn.Module) -> dict[str, Tensor]:
    """The state dict, through a file and back."""
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    file.seek(0)
    state: dict[str, Tensor] = torch.load(file, weights_only=True)
    return state


def loads_an_eval_checkpoint_in_train_mode(library: Library) -> None:
    network, images, expected = segmenter(library)
    other = library.segmenter().train()
    other.load_state_dict(checkpoint(network))
    same(other.eval(), images, expected)


def loads_a_train_checkpoint_in_eval_mode(library: Library) -> None:
    network, images, expected = segmenter(library)
    other = library.segmenter().eval()
    with torch.no_grad():
        other(images)
    other.load_state_dict(checkpoint(network.train()))
    same(other, images, expected)


def sees_weights_changed_in_eval_mode(library: Library) -> None:
    convolution = library.convolution(LAYER).eval()
    features = torch.randn(1, LAYER.channels, 9, 9)
    with torch.no_grad():
        convolution(features)
        for parameter in convolution.parameters():
            parameter.data.zero_()
        require(not convolution(features).any(), "the stale filter is used")


def goes_backward_twice_in_eval_mode(library: Library) -> None:
    network, images, _ = segmenter(library)
    for _ in range(2):
        network(images).sum().backward()


def pools_float64(library: Library) -> None:
    pools(library, torch.float64)


def pools_bfloat16(library: Library) -> None:
    pools(library, torch.bfloat16)


def pools(library: Library, dtype: torch.dtype) -> None:
    features = torch.randn(2, 16, 9, 9, dtype=dtype)
    pooled = library.pooling(4, 4)(features)
    require(pooled.dtype == dtype, f"{dtype} became {pooled.dtype}")
    require(torch.equal(pooled, features.unflatten(1, (4, 4)).amax(2)), "another maximum")


def keeps_channels_last(library: Library) -> None:
    features = torch.randn(2, LAYER.channels, 9, 9).to(memory_format=torch.channels_last)
    images = torch.randn(2, 3, 16, 16).to(memory_format=torch.channels_last)
    for name, module, given in (
        ("convolution", library.convolution(LAYER), features),
        ("group pooling", library.pooling(LAYER.order, LAYER.fields), features),
        ("network", library.segmenter()[:-1], images),
    ):
        output = module(given)
        kept = output.is_contiguous(memory_format=torch.channels_last)
        require(kept, f"lost by the {name}, strides {output.stride()}")


def compiles_in_eval_mode(library: Library) -> None:
    network, images, expected = segmenter(library)
    same(torch.compile(network, fullgraph=True), images, expected)


def compiles_in_train_mode(library: Library) -> None:
    network, images, _ = segmenter(library)
    expected = network.train()(images)
    compiled = torch.compile(network, fullgraph=True)(images)
    require(torch.allclose(compiled, expected, atol=1e-5), "another output")


def exports(library: Library) -> None:
    network, images, expected = segmenter(library)
    same(torch.export.export(network, (images,)).module(), images, expected)


def becomes_plain_convolutions(library: Library) -> None:
    network, images, expected = segmenter(library)
    same(library.plain(network), images, expected)


def runs_in_bfloat16(library: Library) -> None:
    network, images, expected = segmenter(library)
    with torch.no_grad():
        output = network.bfloat16()(images.bfloat16())
    require(output.dtype == torch.bfloat16, f"became {output.dtype}")
    require(torch.allclose(output.float(), expected, atol=0.1), "another output")


def runs_under_autocast(library: Library) -> None:
    network, images, expected = segmenter(library)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        output = network(images)
    require(torch.allclose(output.float(), expected, atol=0.1), "another output")


def leaves_other_models_alone_when_cast(library: Library) -> None:
    network, images, expected = segmenter(library)
    library.segmenter().double()
    same(network.train().eval(), images, expected)
    library.segmenter()(images)


CHECKS: tuple[Callable[[Library], None], ...] = (
    survives_pickle,
    survives_torch_save,
    survives_deepcopy_in_eval_mode,
    loads_an_eval_checkpoint_in_train_mode,
    loads_a_train_checkpoint_in_eval_mode,
    sees_weights_changed_in_eval_mode,
    goes_backward_twice_in_eval_mode,
    pools_float64,
    pools_bfloat16,
    keeps_channels_last,
    runs_in_bfloat16,
    runs_under_autocast,
    compiles_in_eval_mode,
    compiles_in_train_mode,
    exports,
    becomes_plain_convolutions,
    leaves_other_models_alone_when_cast,
)


def failure(name: str, index: int) -> str:
    """How check number `index` fails for the library called `name`; empty if it holds."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    try:
        CHECKS[index](load(name))
    except Exception as error:  # any failure of a library is a result here
        first_line = (str(error).strip().splitlines() or [""])[0]
        return f"{type(error).__name__}: {first_line}"
    return ""


def run(name: str) -> list[tables.Row]:
    """One row for each check, in a process of its own, which some failures spoil."""
    rows: list[tables.Row] = []
    for index, check in enumerate(CHECKS):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            reason = pool.apply(failure, (name, index))
        title = check.__name__.replace("_", " ")
        rows.append({"library": name, "check": title, "passes": not reason, "failure": reason[:90]})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", nargs="+", choices=NAMES, default=["gcnn"])
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    rows: list[tables.Row] = []
    for name in options.library:
        try:
            load(name)
        except Unavailable as reason:
            print(f"skipped {name}: {reason}")
        else:
            rows += run(name)
    tables.show("Living with a library", rows)
    if options.json:
        tables.write(options.json, rows)


if __name__ == "__main__":
    main()
