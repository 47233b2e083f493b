"""Does a group keep its promises? For those who add one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gcnn.equivariance.blobs import Blobs
from gcnn.equivariance.error import equivariance_error
from gcnn.fields import Regular
from gcnn.geometry import as_grid_symmetry, find, transform
from gcnn.groups import Group, require_group
from gcnn.layers import GroupConv, GroupPool, LiftingConv

_EXACT = 1e-10
_SAME = 1e-6
_MOVES = "the basis moves with the group"


@dataclass(frozen=True)
class Check:
    """One law and what was found."""

    law: str
    holds: bool
    found: str


@dataclass(frozen=True)
class GroupReport:
    """All laws of a group; prints as a list.

    >>> from gcnn.groups import P4
    >>> print(GroupReport(P4(), (Check("closure", True, "closed"),)))
    P4(): 4 elements in 2D
    ok   closure: closed
    """

    group: Group
    checks: tuple[Check, ...]

    def __str__(self) -> str:
        lines = [f"{self.group}: {self.group.order} elements in {self.group.dim}D"]
        lines += [f"{'ok  ' if c.holds else 'FAIL'} {c.law}: {c.found}" for c in self.checks]
        return "\n".join(lines)


def check_group(group: Group, kernel_size: int = 3, *, window: bool = False) -> GroupReport:
    """Check the axioms, the tables, the action, the basis and small layers of a group.

    >>> from gcnn.groups import P4
    >>> all(check.holds for check in check_group(P4()).checks)
    True

    Args:
        group: any group, such as your own.
        kernel_size: of the filters to check.
        window: the elements are meant to be a window of an infinite group, such as scalings, so
            that products may leave it.

    Returns:
        A report to print.

    Raises:
        ValueError: a law is broken; the message is the report.
    """
    require_group(group)
    checks = [*_axioms(group, window), *_action(group)]
    basis = group.basis.sample(group.matrices, kernel_size)
    if bool(basis.isfinite().all()):
        checks += [_filters(group, basis), *_layers(group, kernel_size)]
    else:
        checks.append(Check(_MOVES, False, "it holds NaN or infinity"))
    report = GroupReport(group, tuple(checks))
    if not all(check.holds for check in checks):
        raise ValueError(str(report))
    return report


def _axioms(group: Group, window: bool) -> Iterator[Check]:
    outside = int((group.product < 0).sum())
    found = f"{outside} of {group.order**2} products leave the set" if outside else "closed"
    yield Check("closure", window or not outside, found)
    found = "missing" if group.identity < 0 else f"element {group.identity}"
    yield Check("identity", group.identity >= 0, found)
    without = (group.inverse < 0).nonzero().flatten().tolist()
    found = f"missing for elements {without}" if without else "every element has one"
    yield Check("inverses", window or not without, found)
    if group.is_closed:
        # Element by element, because all triples of a large group would not fit into memory.
        associative = all(
            torch.equal(group.product[group.product[g]], group.product[g][group.product])
            for g in range(group.order)
        )
        yield Check("associativity", associative, "of the Cayley table")
    yield _relative_elements(group)


def _relative_elements(group: Group) -> Check:
    related = group.relative >= 0
    relative = torch.linalg.inv(group.matrices)[:, None] @ group.matrices
    difference = relative[related] - group.relative_matrices[group.relative[related]]
    products = group.matrices[:, None] @ group.relative_matrices
    index = find(products.flatten(0, 1), group.matrices).view_as(group.sources)
    consistent = group.sources[index >= 0] == index[index >= 0]
    return Check(
        "relative elements",
        bool((difference.abs() < _SAME).all() and consistent.all()),
        f"{int(related.sum())} of {group.order**2} pairs of elements interact",
    )


def _action(group: Group) -> Iterator[Check]:
    exact = _exact_elements(group)
    size = tuple(range(5, 5 + group.dim))
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(1, 2, group.field.size, *size, generator=generator, dtype=torch.float64)
    for name, x in (("images", features[:, :, 0]), ("feature maps", features)):
        wrong = [
            (g, h)
            for g, h, gh in _products(group, exact)
            if h in exact
            and not torch.allclose(group.act(group.act(x, h), g), group.act(x, gh), atol=_EXACT)
        ]
        found = f"broken for the pairs {wrong[:3]}" if wrong else f"on {len(exact)} exact elements"
        yield Check(f"(gh)·f = g·(h·f) on {name}", not wrong, found)


def _filters(group: Group, basis: Tensor) -> Check:
    worst = 0.0
    for g, h, gh in _products(group, _exact_elements(group)):
        difference = transform(basis[:, h], group.matrices[g]) - basis[:, gh]
        worst = max(worst, float(difference.abs().max()))
    found = f"{basis.shape[0]} functions, error {worst:.0e} for exact elements"
    return Check(_MOVES, worst <= _EXACT, found)


def _layers(group: Group, kernel_size: int) -> Iterator[Check]:
    if not (group.product >= 0).any():
        yield Check("layers", False, "all products leave the window: nothing to compare")
        return
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        lifting = LiftingConv(group, 1, 2, kernel_size).double()
        network = nn.Sequential(
            lifting,
            # Of numbers that are no samples a pointwise function is not equivariant.
            nn.ReLU() if isinstance(group.field, Regular) else nn.Identity(),
            GroupConv(group, 2, 2, kernel_size),
            GroupPool(group.target),
        ).double()
    size = (9 if group.dim > 2 else 37) + 2 * (kernel_size - 1)
    blobs = Blobs(size=size, batch=1, dim=group.dim)
    names = ("lifting convolution", "lifting, group convolution, group pooling")
    for name, module in zip(names, (lifting, network), strict=True):
        report = equivariance_error(module, group, blobs, floor=False)
        found = f"error {report.worst_exact:.0e} for exact elements"
        if any(not row.exact for row in report.rows):
            found += f", {report.worst:.1e} for those between"
        yield Check(name, report.worst_exact <= _EXACT, found)


def _exact_elements(group: Group) -> list[int]:
    return [h for h in range(group.order) if as_grid_symmetry(group.matrices[h]) is not None]


def _products(group: Group, elements: list[int]) -> Iterator[tuple[int, int, int]]:
    """`(g, h, gh)` for some elements g, and all h for which gh is in the window."""
    for g in elements:
        for h, gh in enumerate(group.product[g].tolist()):
            if gh >= 0:
                yield g, h, gh
