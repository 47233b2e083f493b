"""Dependencies point one way: experiments → models → layers → kernels → groups → ... → geometry."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LIBRARY = ("geometry", "filters", "fields", "groups", "kernels", "layers")
"""From the ground up: a package imports those before it."""
MAY_IMPORT = {
    f"gcnn/{package}": {f"gcnn.{below}" for below in LIBRARY[:floor]}
    for floor, package in enumerate((*LIBRARY, "models"))
}
MAY_IMPORT |= {
    "gcnn/equivariance": {f"gcnn.{package}" for package in LIBRARY},
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


def test_no_layer_names_a_particular_group():
    names = {"P4", "P4M", "SE2", "SteerableSE2", "Dihedral"}
    found = [
        (path.name, node.id)
        for path in (ROOT / "gcnn/layers").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name) and node.id in names
    ]
    assert found == []
