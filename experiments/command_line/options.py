"""Options as frozen dataclasses: what the command line shows, what a run folder records."""

from collections.abc import Callable, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, make_dataclass
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from experiments.common.errors import UserError

Group = TypeVar("Group", bound="Options")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options that check themselves; those of a command inherit from groups of them.

    The modules that define them do without `from __future__ import annotations`: the command line
    needs the types themselves.
    """

    def __post_init__(self) -> None:
        for group in type(self).__mro__:
            if "check" in vars(group):
                vars(group)["check"](self)

    def check(self) -> None:
        """Raises `UserError` naming an option that makes no sense; run for each group."""

    def part(self, group: type[Group]) -> Group:
        """The options of one of the groups that these are made of."""
        return group(**{field.name: getattr(self, field.name) for field in fields(group)})

    def to_dict(self) -> dict[str, Any]:
        """All options as plain values (for YAML, JSON and checkpoints)."""
        values = asdict(self)
        return {k: str(value) if isinstance(value, Path) else value for k, value in values.items()}

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """The default of every option, `MISSING` for one that has to be given."""
        return {
            one.name: one.default if one.default_factory is MISSING else one.default_factory()
            for one in fields(cls)
        }


def options_of(make: Callable[..., Any], *without: str) -> type[Options]:
    """Options with names, types, defaults and descriptions of parameters, but for some."""
    hints = get_type_hints(make.__init__ if isinstance(make, type) else make)
    parameters = [one for one in signature(make).parameters.values() if one.name not in without]
    return make_dataclass(
        f"{make.__name__}Options",
        [(one.name, hints[one.name], _field(one.default)) for one in parameters],
        bases=(Options,),
        namespace={"__doc__": make.__doc__},
        frozen=True,
        kw_only=True,
    )


def _field(default: Any) -> Any:
    return field() if default is Parameter.empty else field(default=default)


def check_at_least(name: str, value: float, least: float) -> None:
    """Raises `UserError` unless `value >= least`."""
    if not value >= least:
        raise UserError(f"--{name} {value}: must be at least {least}")


def check_positive(name: str, value: float) -> None:
    """Raises `UserError` unless `value > 0`."""
    if not value > 0:
        raise UserError(f"--{name} {value}: must be greater than 0")


def check_seed(name: str, value: int) -> None:
    """Raises `UserError` unless a generator can be seeded with `value`."""
    check_at_least(name, value, 0)
    if value >= 2**64:
        raise UserError(f"--{name} {value}: must be at most {2**64 - 1} (64 bits)")


def check_distinct(name: str, values: Sequence[Any]) -> None:
    """Raises `UserError` unless there is at least one value, and none twice."""
    if not values or len(set(values)) < len(values):
        typed = " ".join(map(str, values))
        raise UserError(f"--{name} {typed}: name at least one, and none twice")


def counted(number: int, plural: str) -> str:
    """How many there are, in words: `counted(1, "masks")` is "1 mask"."""
    return f"{number} {plural.removesuffix('s') if number == 1 else plural}"
