"""Convolutional networks that commute with a group of image transformations.

`groups` say what moves, `filters` what is moved; every module in `layers` works for any group,
`models` composes them into U-Nets, and `equivariance` measures how well a network commutes.
"""

from gcnn import equivariance, fields, filters, groups, kernels, layers, models

__all__ = ["equivariance", "fields", "filters", "groups", "kernels", "layers", "models"]
__version__ = "0.1.0"
