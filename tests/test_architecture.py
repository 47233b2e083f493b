"""Dependencies point one way: experiments → models → layers → kernels → groups → ... → geometry."""

import ast
from pathlib import Path

import pytest

from gcnn import groups
from gcnn.groups import Group

ROOT = Path(__file__).parent.parent
LIBRARY = ("geometry", "filters", "fields", "groups", "kernels", "layers")
"""From the ground up: a package imports those before it."""
MAY_IMPORT = {
    f"gcnn/{package}": {f"gcnn.{below}" for below in LIBRARY[:floor]}
    for floor, package in enumerate((*LIBRARY, "models"))
}
MAY_IMPORT |= {
    "gcnn/equivariance": {f"gcnn.{package}" for package in LIBRARY},
    "experiments/command_line": {"experiments.common"},
    "experiments/running": {
        "gcnn",
        "experiments.common",
        "experiments.command_line",
        "experiments.data",
    },
    "experiments/results": {
        "gcnn",
        "experiments.common",
        "experiments.command_line",
        "experiments.data",
        "experiments.running",
    },
    "experiments/predicting": {
        "experiments.common",
        "experiments.data",
        "experiments.results",
        "experiments.running",
    },
    "experiments/data": {"experiments.common", "experiments.command_line.options"},
    "experiments/common": {"gcnn"},
}
OURS = ("gcnn", "experiments", "benchmarks", "tests")


def imports(folder):
    """The project's own modules that the files of a folder import."""
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            yield from (
                (path.relative_to(ROOT).as_posix(), name)
                for name in names
                if name.split(".")[0] in OURS
            )


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_a_package_imports_only_what_is_below_it(folder):
    allowed = {*MAY_IMPORT[folder], folder.replace("/", ".")}
    upward = [
        (path, name)
        for path, name in imports(folder)
        if not any(name == package or name.startswith(f"{package}.") for package in allowed)
    ]
    assert upward == []


def test_every_package_of_gcnn_has_its_place():
    packages = {
        path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("gcnn/*/__init__.py")
    }
    assert packages <= set(MAY_IMPORT)


GROUPS = {
    name for name, kind in vars(groups).items() if isinstance(kind, type) and kind is not Group
}


def names_of_groups(source):
    """The groups that a module names (`P4`, `groups.P4` or in an import), with their lines."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name):
            names = [node.id]
        elif isinstance(node, ast.Attribute):
            names = [node.attr]
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [alias.name.split(".")[-1] for alias in node.names]
        else:
            continue
        yield from ((name, node.lineno) for name in names if name in GROUPS)


def test_no_layer_names_a_particular_group():
    found = [
        (path.name, *name)
        for path in (ROOT / "gcnn/layers").rglob("*.py")
        for name in names_of_groups(path.read_text())
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "P4()",
        "groups.P4()",
        "gcnn.groups.SE2(8)",
        "from gcnn.groups import Group, ScaleTranslation",
        "from gcnn.groups import SteerableSE2 as Turns",
        "isinstance(group, planar.Dihedral)",
        "def f(group: 'Group' = groups.P4M()): ...",
    ],
)
def test_a_group_is_found_however_it_is_named(source):
    assert len(list(names_of_groups(source))) == 1


def test_all_groups_are_known_and_the_abstract_one_may_be_named():
    assert {"P4", "P4M", "SE2", "SteerableSE2", "Dihedral", "ScaleTranslation"} <= GROUPS
    assert list(names_of_groups("from gcnn.groups import Group, require_group")) == []
