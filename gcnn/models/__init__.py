"""Networks composed of the layers."""

from gcnn.models.polyp import POLYP_UNETS, polyp_unet
from gcnn.models.residual import ResidualUnit
from gcnn.models.tumour import TUMOUR_UNETS, tumour_unet
from gcnn.models.unet import UNet

__all__ = ["POLYP_UNETS", "TUMOUR_UNETS", "ResidualUnit", "UNet", "polyp_unet", "tumour_unet"]
