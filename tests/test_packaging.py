"""What is built and installed: the wheel, its metadata, and the pinned versions."""

import ast
import configparser
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import gcnn

ROOT = Path(__file__).parent.parent
PYTHONS = ("3.10", "3.11", "3.12", "3.13")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    source = tmp_path_factory.mktemp("source")
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for package in ("gcnn", "experiments", "tests"):
        shutil.copytree(
            ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist", "."]
    subprocess.run(command, cwd=source, check=True, capture_output=True, timeout=120)
    return zipfile.ZipFile(next(source.glob("dist/gcnn-*.whl")))


def test_the_wheel_holds_every_module_of_gcnn_its_types_and_its_licence(wheel):
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "gcnn").rglob("*.py")}
    names = set(wheel.namelist())
    assert modules <= names
    assert "gcnn/py.typed" in names
    assert any(name.endswith("/LICENSE") for name in names)


def test_the_wheel_holds_nothing_else(wheel):
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"gcnn"}


def test_the_metadata_name_the_version_and_the_page(wheel):
    name = next(n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
    metadata = wheel.read(name).decode()
    assert f"\nVersion: {gcnn.__version__}\n" in metadata
    assert "\nRequires-Python: >=3.10\n" in metadata
    assert (ROOT / "README.md").read_text().splitlines()[0] in metadata


def test_importing_gcnn_loads_nothing_of_the_extras():
    code = "import sys, gcnn; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    extras = {"experiments", "matplotlib", "monai", "nibabel", "pytorch_lightning", "scipy"}
    assert not extras & set(loaded)


def requirements(section, option):
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return [Requirement(line) for line in config[section][option].split("\n") if line]


def pins(python):
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    found = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate(environment):
            continue
        name = normal(requirement.name)
        assert name not in found, f"{name} is pinned twice for Python {python}"
        found[name] = re.fullmatch("==([^=]+)", str(requirement.specifier)).group(1)
    return found


def normal(name):
    return re.sub("[-_.]+", "-", name).lower()


@pytest.mark.parametrize("python", PYTHONS)
def test_every_requirement_is_pinned_to_a_version_in_its_range(python):
    wanted = requirements("options", "install_requires")
    for extra in ("experiments", "ray", "dev", "docs"):
        wanted += requirements("options.extras_require", extra)
    pinned = pins(python)
    for requirement in wanted:
        assert requirement.specifier.contains(pinned[normal(requirement.name)]), str(requirement)


def test_the_library_itself_needs_only_torch_and_numpy():
    names = {normal(r.name) for r in requirements("options", "install_requires")}
    assert names == {"numpy", "torch"}


def test_every_requirement_of_the_experiments_is_imported_by_them():
    imported = set()
    for path in (ROOT / "experiments").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.split(".")[0])
    used = {
        normal(distribution)
        for module, distributions in packages_distributions().items()
        for distribution in distributions
        if module in imported
    }
    needed = {normal(r.name) for r in requirements("options.extras_require", "experiments")}
    assert needed <= used


def test_the_citation_and_the_changelog_name_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == gcnn.__version__
    assert f"## [{gcnn.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
