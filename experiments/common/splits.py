"""Which sample is for training, which for validation and which for the test, and its record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, get_args

from experiments.common.errors import UserError
from experiments.common.files import read_json, write_json
from experiments.running.run_folder import RunFolder

__all__ = ["PARTS", "Part", "Split", "check_split", "record_split"]

Part: TypeAlias = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True)
class Split:
    """Which sample belongs to which part.

    Attributes:
        kind: how the samples were divided.
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
        """The split in terms of what JSON knows; `from_dict` is the inverse."""
        fields = asdict(self)
        return fields | {part: list(fields[part]) for part in PARTS}

    def counts(self) -> dict[str, Any]:
        """How the samples were divided, and into how many: what an evaluation says of it."""
        parts: dict[str, int] = {part: len(getattr(self, part)) for part in PARTS}
        return {"kind": self.kind, "seed": self.seed, **parts}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Split:
        """The split that `to_dict` recorded.

        Raises:
            UserError: when a field is missing or a sample is in two parts.
        """
        missing = [field for field in ("kind", "seed", *PARTS) if field not in record]
        if missing:
            raise UserError(f"the record of a split has no {', '.join(missing)}")
        parts = {part: tuple(str(name) for name in record[part]) for part in PARTS}
        counts = Counter(name for part in PARTS for name in parts[part])
        twice = [name for name, count in counts.items() if count > 1]
        if twice:
            raise UserError(f"the record of a split has {twice[0]!r} more than once")
        return cls(kind=record["kind"], seed=int(record["seed"]), **parts)


def record_split(folder: RunFolder, split: Split) -> None:
    """Writes the split of a run that begins; of one that continues, checks that it is the same.

    Raises:
        UserError: the data gives another split now.
    """
    if not folder.split_file.exists():
        write_json(folder.split_file, split.to_dict())
    elif read_json(folder.split_file) != split.to_dict():
        raise UserError(
            f"{folder.split_file}: the data gives another split now than when this run began; "
            "put the data back as it was, or give another folder"
        )


def check_split(folder: RunFolder, now: Split) -> None:
    """Checks that a run is evaluated on the samples that it kept for that.

    Raises:
        UserError: the data gives other samples now, or the record is broken.
    """
    content = read_json(folder.split_file)
    try:
        recorded = Split.from_dict(content)
    except UserError as error:
        raise UserError(f"{folder.split_file}: {error}") from None
    changed = [part for part in PARTS if getattr(recorded, part) != getattr(now, part)]
    if changed:
        raise UserError(
            f"{folder.split_file}: the data gives other {' and '.join(changed)} samples now than "
            "when this run was trained; put the data back as it was, or train again"
        )
