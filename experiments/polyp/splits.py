"""Dividing the samples into training, validation and test: 70 %, 15 % and 15 %.

`random` draws from all samples. `sequence` keeps every video sequence in one part: neighbouring
frames of a video are nearly the same image, and a network tested on the neighbours of its training
images is tested on what it has seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, get_args

import numpy as np

from experiments.common.errors import UserError
from experiments.common.names import natural_key
from experiments.common.splits import PARTS, Part, Split

SplitKind: TypeAlias = Literal["random", "sequence"]

KINDS: tuple[SplitKind, ...] = get_args(SplitKind)
FRACTIONS: Mapping[Part, float] = {"train": 0.70, "validation": 0.15, "test": 0.15}


def split_samples(sequences: Mapping[str, str], kind: str, seed: int) -> Split:
    """Divide samples into three parts, none of them empty.

    Args:
        sequences: the video sequence of every sample, by name.
        kind: `random` or `sequence`.
        seed: the same samples and seed give the same split, whatever the order of the samples.

    Raises:
        UserError: when `kind` is unknown, or there are fewer than three samples or sequences.
    """
    if kind not in KINDS:
        raise UserError(f"unknown split {kind!r}: choose one of {', '.join(KINDS)}")
    names = sorted(sequences, key=natural_key)
    rng = np.random.default_rng(seed)
    if kind == "random":
        return _split_by_sample(names, seed, rng)
    return _split_by_sequence(names, sequences, seed, rng)


def _split_by_sample(names: list[str], seed: int, rng: np.random.Generator) -> Split:
    if len(names) < len(PARTS):
        raise UserError(
            f"{len(names)} sample(s) cannot be divided into training, validation and test: "
            "at least 3 are needed"
        )
    held_out = max(1, round(FRACTIONS["validation"] * len(names)))
    order = [names[i] for i in rng.permutation(len(names))]
    validation, test, train = np.split(np.array(order, dtype=object), [held_out, 2 * held_out])
    return _build("random", seed, list(train), list(validation), list(test))


def _split_by_sequence(
    names: list[str], sequences: Mapping[str, str], seed: int, rng: np.random.Generator
) -> Split:
    members: dict[str, list[str]] = {}
    for name in names:
        members.setdefault(sequences[name], []).append(name)
    if len(members) < len(PARTS):
        raise UserError(
            f"{len(members)} video sequence(s) cannot be divided into training, validation and "
            "test: at least 3 are needed"
        )
    keys = sorted(members, key=natural_key)
    order = [keys[i] for i in rng.permutation(len(keys))]
    parts: dict[Part, list[str]] = {part: [] for part in PARTS}
    for position, sequence in enumerate(order):
        empty = [part for part in PARTS if not parts[part]]
        must_fill_empty_parts = len(order) - position <= len(empty)
        candidates = empty if must_fill_empty_parts else list(PARTS)
        neediest = max(candidates, key=lambda part: FRACTIONS[part] * len(names) - len(parts[part]))
        parts[neediest] += members[sequence]
    train = [parts["train"][i] for i in rng.permutation(len(parts["train"]))]
    return _build("sequence", seed, train, parts["validation"], parts["test"])


def _build(
    kind: SplitKind, seed: int, train: list[str], validation: list[str], test: list[str]
) -> Split:
    return Split(
        kind,
        seed,
        tuple(train),
        tuple(sorted(validation, key=natural_key)),
        tuple(sorted(test, key=natural_key)),
    )
