"""Which case is for training, which for validation and which for the test, and the record of it.

`split_cases` draws from all cases. `split_groups` keeps every group in one part: neighbouring
frames of a video are nearly the same image, and a network tested on the neighbours of its training
images is tested on what it has seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from experiments.common.errors import UserError
from experiments.common.files import read_json, write_json
from experiments.data.cases import natural_key

Part: TypeAlias = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = get_args(Part)

SHARES: Mapping[Part, float] = {"train": 0.70, "validation": 0.15, "test": 0.15}


@dataclass(frozen=True)
class Split:
    """Which case belongs to which part.

    Attributes:
        kind: how the cases were divided.
        seed: of the draw.
        train: names in random order, so that the first n are a fair smaller training set.
        validation: names in natural order.
        test: names in natural order.
    """

    kind: str
    seed: int
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The split in terms of what JSON knows."""
        return {"kind": self.kind, "seed": self.seed} | {p: list(getattr(self, p)) for p in PARTS}

    def counts(self) -> dict[str, Any]:
        """How the cases were divided, and into how many: what an evaluation says of it."""
        return {"kind": self.kind, "seed": self.seed, **self.sizes()}

    def sizes(self) -> dict[str, int]:
        """The number of cases in each part."""
        return {part: len(getattr(self, part)) for part in PARTS}


def split_cases(
    names: Iterable[str],
    seed: int,
    sizes: Mapping[Part, int | None] | None = None,
    first: Part = "test",
) -> Split:
    """Divide cases at random into three parts, none of them empty.

    The test does not depend on how many validate, nor either on how many are trained on; the
    training sets of one seed are nested.

    Args:
        names: of all cases.
        seed: the same names and seed give the same split, whatever the order of the names.
        sizes: of the parts; None takes 15 % of all for validation and test each, and all that are
            left for the training.
        first: which of validation and test is drawn first.

    Raises:
        UserError: when a number is below 1, or the cases do not suffice.
    """
    ordered = sorted(names, key=natural_key)
    share = max(1, round(SHARES["test"] * len(ordered)))
    asked = {part: (sizes or {}).get(part) for part in PARTS}
    for part, number in asked.items():
        if number is not None and number < 1:
            raise UserError(f"{part}_cases is {number}: it should be at least 1")
    wanted = {part: n or (1 if part == "train" else share) for part, n in asked.items()}
    if sum(wanted.values()) > len(ordered):
        raise UserError(
            f"{sum(wanted.values())} cases are needed, {wanted['train']} to train on, "
            f"{wanted['validation']} for validation and {wanted['test']} for the test, but there "
            f"are {len(ordered)}: give more data, or ask for fewer"
        )
    order = [ordered[i] for i in np.random.default_rng(seed).permutation(len(ordered))]
    second: Part = "validation" if first == "test" else "test"
    parts = {first: order[: wanted[first]]}
    held_out = wanted[first] + wanted[second]
    parts[second] = order[wanted[first] : held_out]
    parts["train"] = order[held_out:][: asked["train"]]
    return _build("random", seed, parts)


def split_groups(groups: Mapping[str, str], seed: int) -> Split:
    """Divide whole groups of cases into parts of about 70 %, 15 % and 15 % of the cases.

    Args:
        groups: the group of every case, by name, such as the video sequence.
        seed: the same cases and seed give the same split, whatever the order of the cases.

    Raises:
        UserError: when there are fewer than three groups.
    """
    names = sorted(groups, key=natural_key)
    members: dict[str, list[str]] = {}
    for name in names:
        members.setdefault(groups[name], []).append(name)
    if len(members) < len(PARTS):
        raise UserError(
            f"{len(members)} video sequence(s) cannot be divided into training, validation and "
            "test: at least 3 are needed"
        )
    rng = np.random.default_rng(seed)
    keys = sorted(members, key=natural_key)
    order = [keys[i] for i in rng.permutation(len(keys))]
    parts: dict[Part, list[str]] = {part: [] for part in PARTS}
    for position, group in enumerate(order):
        empty = [part for part in PARTS if not parts[part]]
        must_fill_empty_parts = len(order) - position <= len(empty)
        candidates = empty if must_fill_empty_parts else list(PARTS)
        neediest = max(candidates, key=lambda part: SHARES[part] * len(names) - len(parts[part]))
        parts[neediest] += members[group]
    parts["train"] = [parts["train"][i] for i in rng.permutation(len(parts["train"]))]
    return _build("sequence", seed, parts)


def record_split(file: Path, split: Split) -> None:
    """Writes the split of a run that begins; of one that continues, checks that it is the same.

    Raises:
        UserError: the data gives another split now.
    """
    if not file.exists():
        write_json(file, split.to_dict())
    elif read_json(file) != split.to_dict():
        raise UserError(
            f"{file}: the data gives another split now than when this run began; "
            "put the data back as it was, or give another folder"
        )


def check_split(file: Path, now: Split) -> None:
    """Checks that a run is evaluated on the samples that it kept for that.

    Raises:
        UserError: the data gives other samples now, or the record is broken.
    """
    recorded, expected = read_json(file), now.to_dict()
    if not isinstance(recorded, dict) or not recorded.keys() >= expected.keys():
        raise UserError(f"{file}: is no record of a split")
    changed = [part for part in PARTS if recorded[part] != expected[part]]
    if changed:
        raise UserError(
            f"{file}: the data gives other {' and '.join(changed)} samples now than "
            "when this run was trained; put the data back as it was, or train again"
        )


def _build(kind: str, seed: int, parts: Mapping[Part, Sequence[str]]) -> Split:
    held_out = (tuple(sorted(parts[part], key=natural_key)) for part in ("validation", "test"))
    return Split(kind, seed, tuple(parts["train"]), *held_out)
