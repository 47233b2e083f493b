"""What is moved: bases of filters. A filter is weights × basis, and the group moves the basis."""

from gcnn.filters.basis import Basis, window_size
from gcnn.filters.circular_harmonics import CircularHarmonics
from gcnn.filters.hermite import HermiteGaussian
from gcnn.filters.optimal import OptimalSteerable
from gcnn.filters.pixels import Pixels
from gcnn.filters.power import Power
from gcnn.filters.separable import Factors, SeparableBasis
from gcnn.filters.steerable import CircularFunctions, SteerableBasis

__all__ = [
    "Basis",
    "CircularFunctions",
    "CircularHarmonics",
    "Factors",
    "HermiteGaussian",
    "OptimalSteerable",
    "Pixels",
    "Power",
    "SeparableBasis",
    "SteerableBasis",
    "window_size",
]
