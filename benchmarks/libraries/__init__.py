"""The libraries under test, behind one interface of plain tensors; `load` gives one by name."""

from benchmarks.libraries.base import Layer, Library, Unavailable
from benchmarks.libraries.ours import Ours
from benchmarks.libraries.peers import Peer

NAMES = ("gcnn", "escnn", "e2cnn")

__all__ = ["NAMES", "Layer", "Library", "Unavailable", "load"]


def load(name: str) -> Library:
    """Return the library called `name`.

    Raises:
        Unavailable: it cannot be imported; the message says why.
        ValueError: a name that is not in `NAMES`.
    """
    if name == "gcnn":
        return Ours()
    if name in NAMES:
        return Peer(name)
    raise ValueError(f"unknown library {name!r}; choose from {', '.join(NAMES)}")
