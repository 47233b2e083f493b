"""Networks composed of the layers."""

from gcnn.models.polyp import POLYP_UNETS, polyp_unet
from gcnn.models.residual import ResidualUnit
from gcnn.models.unet import UNet

__all__ = ["POLYP_UNETS", "ResidualUnit", "UNet", "polyp_unet"]
