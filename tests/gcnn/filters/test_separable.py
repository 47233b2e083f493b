"""Factors of separable bases."""

import itertools
import math

import pytest
import torch

from gcnn import groups
from gcnn.filters import Factors, HermiteGaussian
from tests.gcnn.cases import SCALES

DEGREES = {1: ((0,), (1,)), 2: ((0, 0), (0, 1), (1, 0)), 3: ((0, 0, 0), (0, 1, 0), (0, 0, 1))}


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_a_function_is_the_product_of_its_factors_pixel_by_pixel(dim):
    torch.manual_seed(0)
    tables = torch.randn(dim, 2, 2, 3, dtype=torch.float64)
    factors = Factors(tables, DEGREES[dim])
    functions = factors.product()
    assert functions.shape == (len(DEGREES[dim]), 2, *(3,) * dim)
    for k, degrees in enumerate(DEGREES[dim]):
        for h, *place in itertools.product(range(2), *(range(3),) * dim):
            expected = math.prod(
                float(tables[axis, h, degrees[axis], i]) for axis, i in enumerate(place)
            )
            assert float(functions[k, h][tuple(place)]) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("degrees", "message"),
    [
        (((0, 0), (0, 2)), r"degrees hold \(0, 2\), but not \(0, 1\) below it"),
        (((0, 0), (1, 1), (1, 0)), r"degrees hold \(1, 1\), but not \(0, 1\) below it"),
        (((1, 0),), r"degrees hold \(1, 0\), but not \(0, 0\) below it"),
    ],
)
def test_every_function_needs_those_of_lower_degree(degrees, message):
    with pytest.raises(ValueError, match=message):
        Factors(torch.zeros(2, 1, 3, 3, dtype=torch.float64), degrees)


@pytest.mark.parametrize("combine", ["total", "tensor"])
@pytest.mark.parametrize("group", SCALES, ids=repr)
def test_the_product_of_the_factors_is_the_sampled_basis(group, combine):
    basis = HermiteGaussian(combine=combine)
    factors = basis.factors(group.matrices, 5)
    sampled = basis.sample(group.matrices, 5)
    torch.testing.assert_close(factors.product(), sampled, atol=1e-14, rtol=0)


def test_functions_that_are_turned_do_not_factorise():
    assert HermiteGaussian().factors(groups.SE2(8).matrices, 5) is None
    assert HermiteGaussian().factors(groups.P4().matrices, 5) is None


def test_factors_are_remembered_for_equal_bases_and_matrices():
    matrices = groups.ScaleTranslation([1.0, 0.77]).matrices
    first = HermiteGaussian().factors(matrices, 5)
    assert HermiteGaussian().factors(matrices.clone(), 5) is first
    assert HermiteGaussian().factors(matrices, 7) is not first
    assert HermiteGaussian(half_width=2.5).factors(matrices, 5) is not first


def test_factors_first_built_in_inference_mode_are_ordinary_tensors():
    matrices = groups.ScaleTranslation([1.0, 0.781]).matrices
    with torch.inference_mode(), torch.device("meta"):
        factors = HermiteGaussian().factors(matrices, 5)
    assert not factors.tables.is_inference() and factors.tables.device.type == "cpu"
