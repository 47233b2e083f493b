"""Smooth random images that can be moved without interpolation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gcnn.equivariance.sizes import fitting_size
from gcnn.geometry import grid_points
from gcnn.groups import Group
from gcnn.layers import GroupConv, GroupConvTranspose
from gcnn.layers.windows import index_in


@dataclass(frozen=True)
class Blobs:
    """Sums of Gaussian blobs with random places, widths and heights, evaluated at moved places.

    Because the blobs are a formula, the moved image carries no interpolation error, and whatever
    error is measured with it is the network's.

    >>> from gcnn.geometry import rotation
    >>> blobs = Blobs(size=33, batch=2)
    >>> turned = torch.rot90(blobs.images(), 1, (-2, -1))
    >>> torch.allclose(blobs.moved(rotation(90)), turned)
    True

    Args:
        size: edge of the square or cubic grid, in pixels.
        channels: channels of the image, or fields of the feature map.
        batch: how many images.
        dim: dimension of space.
        group: make feature maps `(batch, channels, |H|, *space)` on this group; images if None.
        count: blobs in a channel.
        radius: centres lie within this distance from the centre of the grid, in pixels; 0.28 of
            the size unless given.
        widths: smallest and largest σ, in pixels; 1.5 to 4, and 2 to 4 in 3D, unless given.
        seed: of the random numbers.
    """

    size: int = 65
    channels: int = 1
    batch: int = 4
    dim: int = 2
    group: Group | None = None
    count: int = 40
    radius: float | None = None
    widths: tuple[float, float] | None = None
    seed: int = 0

    def images(self) -> Tensor:
        """The images (or feature maps), unmoved; float64."""
        return self.moved(torch.eye(self.dim, dtype=torch.float64))

    def moved(self, matrix: Tensor) -> Tensor:
        """The images moved by a matrix, `(h·f)(x) = f(h⁻¹x)`; float64.

        Feature maps are moved by an element of their group: the elements change places too.

        Raises:
            ValueError: blobs on a group, and a matrix that is not one of its elements.
        """
        order = 1 if self.group is None else self.group.field.size
        fields = self._evaluate(matrix, order)
        if self.group is None:
            return fields[:, :, 0]
        if index_in(self.group, matrix) < 0:
            raise ValueError(f"{matrix.tolist()} is not an element of {self.group}")
        return self.group.field.move(fields, matrix)

    def _evaluate(self, matrix: Tensor, order: int) -> Tensor:
        centres, widths, heights = self._draw(order)
        gram = matrix.T @ matrix
        if torch.allclose(gram, gram[0, 0] * torch.eye(self.dim, dtype=gram.dtype)):
            return self._product(centres @ matrix.T, widths * gram[0, 0].sqrt(), heights)
        places = grid_points((self.size,) * self.dim).flatten(0, -2)
        places = places @ torch.linalg.inv(matrix).T
        image = torch.zeros(self.batch, self.channels, order, len(places), dtype=torch.float64)
        for blob in range(self.count):
            distance = torch.cdist(
                centres[..., blob, :].flatten(0, -2),
                places,
                compute_mode="donot_use_mm_for_euclid_dist",
            ).view_as(image)
            exponent = -((distance / widths[..., blob, None]) ** 2) / 2
            image += heights[..., blob, None] * exponent.exp()
        return torch.unflatten(image, -1, (self.size,) * self.dim)

    def _product(self, centres: Tensor, widths: Tensor, heights: Tensor) -> Tensor:
        """Round blobs are products of profiles along the axes, which saves most exponentials."""
        points = grid_points((self.size,) * self.dim)
        profiles = []
        for axis in range(self.dim):
            coordinate = self.dim - 1 - axis
            along = points[(0,) * axis + (slice(None),) + (0,) * coordinate][:, coordinate]
            distance = (along - centres[..., coordinate, None]) / widths[..., None]
            profiles.append((-(distance**2) / 2).exp())
        axes = "xyz"[: self.dim]
        factors = ",".join(f"...k{axis}" for axis in axes)
        return torch.einsum(f"...k,{factors}->...{axes}", heights, *profiles)

    def _draw(self, order: int) -> tuple[Tensor, Tensor, Tensor]:
        generator = torch.Generator().manual_seed(self.seed)
        shape = (self.batch, self.channels, order, self.count)
        direction = torch.randn(*shape, self.dim, generator=generator, dtype=torch.float64)
        distance = torch.rand(shape, generator=generator, dtype=torch.float64) ** (1 / self.dim)
        radius = 18 / 65 * self.size if self.radius is None else self.radius
        centres = direction / direction.norm(dim=-1, keepdim=True) * (radius * distance)[..., None]
        narrow, wide = self.widths or (2.0 if self.dim > 2 else 1.5, 4.0)
        spread = torch.rand(shape, generator=generator, dtype=torch.float64)
        heights = torch.randn(shape, generator=generator, dtype=torch.float64)
        return centres, narrow + (wide - narrow) * spread, heights


def blobs_for(module: torch.nn.Module, group: Group) -> Blobs:
    """Blobs that fit the first layer of a module: an image, or a feature map on the group.

    The edge is 65 pixels in 2D and 33 in 3D, or the next size that the module takes.

    Args:
        module: a layer or a network.
        group: what moves.

    Raises:
        ValueError: no layer of the module says how many channels it takes, or it takes none of
            the sizes up to three times the usual one.
    """
    first = next((m for m in module.modules() if hasattr(m, "in_channels")), None)
    if first is None:
        raise ValueError(
            f"cannot tell what {type(module).__name__} takes as input; pass inputs=, a tensor or "
            "equivariance.Blobs"
        )
    channels: int = first.in_channels  # type: ignore[assignment]
    transposed = isinstance(first, GroupConvTranspose)
    window = group.target if transposed else group if isinstance(first, GroupConv) else None
    leading = (1, channels) if window is None else (1, channels, window.field.size)
    least = {1: 129, 2: 65}.get(group.dim, 33)
    multiple: int = getattr(module, "size_multiple", 1)
    sizes = range(math.ceil(least / multiple) * multiple, 3 * least + multiple, multiple)
    size = fitting_size(module, leading, group.dim, sizes)
    return Blobs(size, channels, dim=group.dim, group=window)
