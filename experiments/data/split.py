"""Which case is for training, which for validation and which for the test, and the record of it.

Neighbouring frames of a video are nearly the same image, and a network tested on the neighbours of
its training images is tested on what it has seen: `split_groups` keeps every group in one part.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from experiments.command_line.options import check_at_least
from experiments.common.errors import UserError
from experiments.common.files import read_json, write_json
from experiments.data.cases import natural_key

Part: TypeAlias = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = get_args(Part)
SHARES: Mapping[Part, float] = {"train": 0.70, "validation": 0.15, "test": 0.15}


@dataclass(frozen=True)
class Split:
    """Which case belongs to which part, and how and by which seed that was decided."""

    kind: str
    seed: int
    train: tuple[str, ...]  # in random order, so that the first n are a fair smaller training set
    validation: tuple[str, ...]  # in natural order, as the test
    test: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """Of the cases of all parts."""
        return [*self.train, *self.validation, *self.test]

    def to_dict(self) -> dict[str, Any]:
        """The split in terms of what JSON knows."""
        return {name: list(v) if name in PARTS else v for name, v in asdict(self).items()}

    def counts(self) -> dict[str, Any]:
        """How the cases were divided, and into how many: what an evaluation says of it."""
        return {"kind": self.kind, "seed": self.seed, **self.sizes()}

    def sizes(self) -> dict[str, int]:
        """The number of cases in each part."""
        return {part: len(getattr(self, part)) for part in PARTS}

    def limited(self, option: str, most: int | None) -> "Split":
        """With only the first `most` of the training cases, as the option of this name asks."""
        if most is not None and not 1 <= most <= len(self.train):
            raise UserError(f"--{option} {most}: must be from 1 to {len(self.train)}, those left")
        return replace(self, train=self.train[:most])


def split_cases(
    names: Iterable[str], seed: int, validation: int | None = None, test: int | None = None
) -> Split:
    """Divide cases at random; validation and test get as many as said, or 15 % each."""
    ordered = _sorted(names)
    share = max(1, round(SHARES["test"] * len(ordered)))
    validated, tested = (share if size is None else size for size in (validation, test))
    check_at_least("validation_cases", validated, 1)
    check_at_least("test_cases", tested, 1)
    held_out = validated + tested
    if held_out >= len(ordered):
        raise UserError(
            f"--validation_cases {validated} --test_cases {tested}: with at least one to train on "
            f"these are more than the {len(ordered)} cases there are"
        )
    order = [ordered[i] for i in np.random.default_rng(seed).permutation(len(ordered))]
    train, validation = tuple(order[held_out:]), _sorted(order[tested:held_out])
    return Split("random", seed, train, validation, _sorted(order[:tested]))


def split_groups(groups: Mapping[str, str], seed: int) -> Split:
    """Divide whole groups of cases, such as video sequences, into parts of about `SHARES`."""
    members: dict[str, list[str]] = {}
    for name in _sorted(groups):
        members.setdefault(groups[name], []).append(name)
    if len(members) < len(PARTS):
        raise UserError(
            f"--split sequence: {len(members)} video sequence(s) cannot be divided into training, "
            "validation and test: at least 3 are needed"
        )
    rng = np.random.default_rng(seed)
    keys = _sorted(members)
    order = [keys[i] for i in rng.permutation(len(keys))]
    parts: dict[Part, list[str]] = {part: [] for part in PARTS}
    for position, group in enumerate(order):
        empty = [part for part in PARTS if not parts[part]]
        fillable = empty if len(order) - position <= len(empty) else PARTS
        neediest = max(fillable, key=lambda part: SHARES[part] * len(groups) - len(parts[part]))
        parts[neediest] += members[group]
    train = tuple(parts["train"][i] for i in rng.permutation(len(parts["train"])))
    return Split("sequence", seed, train, _sorted(parts["validation"]), _sorted(parts["test"]))


def record_split(file: Path, split: Split) -> None:
    """Write the split of a run that begins; of one that continues, check that it is the same."""
    if file.exists():
        check_split(file, split)
    else:
        write_json(file, split.to_dict())


def check_split(file: Path, now: Split) -> None:
    """Check that a run goes on, or is evaluated, with the samples that it kept for that."""
    recorded, expected = read_json(file), now.to_dict()
    if not isinstance(recorded, dict) or not recorded.keys() >= expected.keys():
        raise UserError(f"{file}: is no record of a split")
    changed = [part for part in PARTS if recorded[part] != expected[part]]
    if changed:
        raise UserError(
            f"{file}: the data gives other {' and '.join(changed)} samples now than "
            "when this run began; put the data back as it was, or train in another folder"
        )


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names, key=natural_key))
