"""Every public class and function shows how it is used; doctest runs what they show."""

import doctest
import importlib
import inspect
import sys

import pytest

PACKAGES = ("geometry", "filters", "groups", "layers", "models", "equivariance")
PUBLIC = [
    getattr(package, name)
    for package in (importlib.import_module(f"gcnn.{name}") for name in PACKAGES)
    for name in package.__all__
]


@pytest.mark.parametrize(
    "item",
    [item for item in PUBLIC if inspect.isclass(item) or inspect.isfunction(item)],
    ids=lambda item: item.__name__,
)
def test_every_public_class_and_function_has_an_example(item):
    # By its module, because that is where doctest looks, and it must find the example there.
    found = doctest.DocTestFinder(recurse=True).find(sys.modules[item.__module__])
    examples = {test.name: test.examples for test in found}
    assert examples.get(f"{item.__module__}.{item.__qualname__}")
