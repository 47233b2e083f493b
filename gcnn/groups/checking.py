"""Is it a group? For everything that takes one."""

from __future__ import annotations

from inspect import Parameter, signature

from gcnn.groups.group import Group
from gcnn.groups.planar import P4, P4M, SE2, Dihedral, SteerableSE2
from gcnn.groups.scaling import ScaleTranslation

_SHIPPED: tuple[type[Group], ...] = (P4, P4M, SE2, SteerableSE2, Dihedral, ScaleTranslation)
_NAMED = {kind.__name__.lower(): kind for kind in _SHIPPED}


def require_group(group: object) -> Group:
    """`group` if it is one.

    >>> require_group(P4)
    Traceback (most recent call last):
    TypeError: group must be a gcnn.groups.Group, got the class P4; use P4()

    Raises:
        TypeError: it is not; names what it is, and the call that was probably meant.
    """
    if isinstance(group, Group):
        return group
    if isinstance(group, type) and issubclass(group, Group):
        found = f"the class {group.__name__}; use {_call(group)}"
    elif isinstance(group, str) and group.lower() in _NAMED:
        found = f"{group!r}; use groups.{_call(_NAMED[group.lower()])}"
    else:
        found = f"{group!r}; use for example groups.P4()"
    raise TypeError(f"group must be a gcnn.groups.Group, got {found}")


def _call(kind: type[Group]) -> str:
    """The call that makes a group, with the arguments that it needs."""
    parameters = signature(kind).parameters.values()
    needed = [p.name for p in parameters if p.default is Parameter.empty]
    return f"{kind.__name__}({', '.join(needed)})"
