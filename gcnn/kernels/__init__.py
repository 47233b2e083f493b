"""From weights to filters: what a convolution holds, and how it is evaluated."""

from gcnn.kernels.build import adjoint_kernel, group_kernel, lifting_kernel, spatial_kernel
from gcnn.kernels.kernel import Form, Kernel
from gcnn.kernels.solved import equivariant_filters

__all__ = [
    "Form",
    "Kernel",
    "adjoint_kernel",
    "equivariant_filters",
    "group_kernel",
    "lifting_kernel",
    "spatial_kernel",
]
