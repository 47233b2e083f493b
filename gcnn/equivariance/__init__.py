"""How well a network commutes with a group, and where it does not."""

from gcnn.equivariance.axioms import GroupReport, check_group
from gcnn.equivariance.blobs import Blobs
from gcnn.equivariance.curve import ErrorCurve, ScaleCurve, error_curve, scale_curve
from gcnn.equivariance.error import EquivarianceReport, equivariance_error
from gcnn.equivariance.layers import LayerTable, layer_errors
from gcnn.equivariance.steering import steering_errors

__all__ = [
    "Blobs",
    "EquivarianceReport",
    "ErrorCurve",
    "GroupReport",
    "LayerTable",
    "ScaleCurve",
    "check_group",
    "equivariance_error",
    "error_curve",
    "layer_errors",
    "scale_curve",
    "steering_errors",
]
