"""Networks composed of the layers."""

from gcnn.models.residual import ResidualUnit
from gcnn.models.unet import UNet

__all__ = ["ResidualUnit", "UNet"]
