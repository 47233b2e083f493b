"""Generic layers: each works for any group, with ordinary tensors in and out."""

from gcnn.layers.anti_aliased import AntiAliased
from gcnn.layers.dropout import GroupDropout
from gcnn.layers.frozen import freeze
from gcnn.layers.group_convolution import GroupConv
from gcnn.layers.group_pooling import GroupPool
from gcnn.layers.input_lifting import InputLifting
from gcnn.layers.lifting import LiftingConv
from gcnn.layers.normalization import GroupBatchNorm, GroupInstanceNorm
from gcnn.layers.selection import Selection, chosen, select
from gcnn.layers.separable_group_convolution import SeparableGroupConv
from gcnn.layers.spatial_pooling import SpatialAvgPool, SpatialBlurPool, SpatialMaxPool
from gcnn.layers.transposed_convolution import GroupConvTranspose
from gcnn.layers.upsampling import SpatialUpsample
from gcnn.layers.windows import rewindow

__all__ = [
    "AntiAliased",
    "GroupBatchNorm",
    "GroupConv",
    "GroupConvTranspose",
    "GroupDropout",
    "GroupInstanceNorm",
    "GroupPool",
    "InputLifting",
    "LiftingConv",
    "Selection",
    "SeparableGroupConv",
    "SpatialAvgPool",
    "SpatialBlurPool",
    "SpatialMaxPool",
    "SpatialUpsample",
    "chosen",
    "freeze",
    "rewindow",
    "select",
]
