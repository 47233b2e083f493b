"""Bases whose functions are products of functions of one coordinate each."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from gcnn.filters.basis import Basis, remembered


@dataclass(frozen=True)
class Factors:
    """The factors of a bank of filters: function k moved by element h is their outer product.

    `filter[k, h] = Π_j tables[j, h, degrees[k, j]]` over the axes j of a spatial tensor. A
    convolution with all of them can be done axis by axis.

    >>> row, column = torch.tensor([[[[1.0, 1.0]]], [[[1.0, 2.0]]]])
    >>> Factors(torch.stack([row, column]), degrees=((0, 0),)).product().tolist()
    [[[[1.0, 2.0], [1.0, 2.0]]]]

    Attributes:
        tables: `(d, |H|, n, kernel_size)` float64: n functions of one coordinate, for every axis
            and every element.
        degrees: K tuples of d indices into the n functions; with every function, those of lower
            degree along any axis are there too.

    Raises:
        ValueError: a function of lower degree is missing.
    """

    tables: Tensor
    degrees: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        known = set(self.degrees)
        for degrees in self.degrees:
            for axis, degree in enumerate(degrees):
                lower = (*degrees[:axis], degree - 1, *degrees[axis + 1 :])
                if degree and lower not in known:
                    raise ValueError(f"degrees hold {degrees}, but not {lower} below it")

    def product(self) -> Tensor:
        """The functions themselves, `(K, |H|, *(kernel_size,) * d)`."""
        return torch.stack([self._product(degrees) for degrees in self.degrees])

    def _product(self, degrees: tuple[int, ...]) -> Tensor:
        function = self.tables[0, :, degrees[0]]
        for axis, degree in enumerate(degrees[1:], start=1):
            factor = self.tables[axis, :, degree]
            function = function[..., None] * factor.view(len(factor), *(1,) * axis, -1)
        return function


class SeparableBasis(Basis):
    """A basis that can say how its functions factorise, as long as nothing turns them.

    >>> from gcnn.filters import HermiteGaussian
    >>> factors = HermiteGaussian().factors(torch.eye(3, dtype=torch.float64)[None], kernel_size=7)
    >>> factors.tables.shape  # for 3 axes and one element, 3 functions of 7 pixels
    torch.Size([3, 1, 3, 7])
    """

    @abstractmethod
    def factorise(self, matrices: Tensor, kernel_size: int) -> Factors | None:
        """The factors of the functions moved by each matrix, or None if they do not factorise.

        Args:
            matrices: `(|H|, d, d)` float64.
            kernel_size: edge of the kernel, in pixels.
        """

    def factors(self, matrices: Tensor, kernel_size: int) -> Factors | None:
        """`factorise`, remembered: layers of a network share the result and must not change it."""
        make = type(self).factorise
        factors: Factors | None = remembered(make, self, matrices, kernel_size)
        return factors
