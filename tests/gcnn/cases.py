"""What the tests of the library share: groups, blobs whose rotations are exact, and an error."""

import math

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from gcnn import filters, groups
from gcnn.geometry import mirror


def cube():
    """The 24 rotations of the cube."""
    about_z = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    about_x = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]
    return groups.Group(groups.generate(about_z, about_x), name="Cube()")


def left_right():
    """The identity and one mirror, nothing else."""
    return groups.Group(groups.generate(mirror()), name="LeftRight()")


def scalings(*scales):
    """A window of the scalings of the plane."""
    matrices = [scale * torch.eye(2, dtype=torch.float64) for scale in scales]
    return groups.Group(matrices, name=f"Scalings{scales}")


PLANAR = (
    groups.P4(),
    groups.P4M(),
    *(groups.SE2(n) for n in (1, 2, 3, 4, 8, 12)),
    *(groups.SteerableSE2(n) for n in (4, 8, 12)),
    groups.Dihedral(3),
    groups.Dihedral(8),
    left_right(),
)
SPATIAL = (cube(),)
CLOSED = PLANAR + SPATIAL
SCALED = scalings(1.0, 1.5, 2.25)
SCALES = (
    groups.ScaleTranslation([0.4, 0.6, 1.0]),
    groups.ScaleTranslation([1.0, 0.8, 0.64], interaction=2),
    groups.ScaleTranslation([0.64, 0.8, 1.0], interaction=3, scale_padding="replicate"),
    groups.ScaleTranslation([1.0, 0.9, 0.81], 3, interaction=2, scale_padding="valid"),
)
WITHOUT_PRODUCTS = scalings(1.2, 1.7)

# Groups whose filters are made of something else than their own default.
OTHER_BASES = (
    groups.SE2(8, filters.Pixels(disc=True)),
    groups.SE2(8, filters.CircularHarmonics()),
    groups.SE2(4, filters.OptimalSteerable()),
    groups.SteerableSE2(8, filters.CircularHarmonics()),
    groups.SteerableSE2(4, filters.Pixels()),
    groups.SteerableSE2(8, filters.OptimalSteerable(functions=7)),
    groups.Dihedral(4, filters.CircularHarmonics(max_frequency=2)),
    groups.Dihedral(4, filters.Pixels()),
)


def label(group):
    """A name that also tells groups apart that differ in their basis alone."""
    return f"{group}-{group.basis}".replace(" ", "")


def exact_elements(group):
    """The elements that map the pixel grid onto itself: signed permutations of the axes."""
    return [
        element
        for element, matrix in enumerate(group.matrices)
        if ((matrix.abs() - 0.5).abs() == 0.5).all()
    ]


def size_of(group, edge):
    """A square or cubic shape of space."""
    return (edge,) * group.dim


def relative_error(one, other):
    """The distance of two tensors in units of the first."""
    return float((one - other).norm() / one.norm())


def equivariance_error(module, group, features):
    """The largest relative error of `module(h·f) = h·module(f)` over the exact elements."""
    with torch.no_grad():
        output = module(features)
        return max(
            relative_error(group.act(output, h), module(group.act(features, h)))
            for h in exact_elements(group)
        )


class Largest(TorchDispatchMode):
    """Counts the numbers that operations make: of the largest tensor, and of all together."""

    numbers = total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        made = [t for t in (out if isinstance(out, (tuple, list)) else [out]) if torch.is_tensor(t)]
        self.numbers = max(self.numbers, *(t.numel() for t in made), 0)
        self.total += sum(t.numel() for t in made)
        return out


class Blobs:
    """Sums of Gaussian blobs, evaluated at turned coordinates: no interpolation in the input."""

    def __init__(self, images=2, size=65, within=18.0, count=40, seed=0):
        generator = torch.Generator().manual_seed(seed)

        def uniform():
            return torch.rand(images, count, generator=generator, dtype=torch.float64)

        radius, angle = within * uniform().sqrt(), 2 * math.pi * uniform()
        self.centres = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=-1)
        self.widths = (1.5 + 2.5 * uniform())[..., None, None]
        self.heights = torch.randn(images, count, generator=generator, dtype=torch.float64)
        axis = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
        self.x, self.y = axis.expand(size, size), -axis[:, None].expand(size, size)

    def image(self, degrees=0.0):
        """The images `(images, 1, size, size)`, turned counter-clockwise."""
        cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        x = cosine * self.centres[..., 0] - sine * self.centres[..., 1]
        y = sine * self.centres[..., 0] + cosine * self.centres[..., 1]
        squared = (self.x - x[..., None, None]) ** 2 + (self.y - y[..., None, None]) ** 2
        blobs = torch.exp(-squared / (2 * self.widths**2))
        return (self.heights[..., None, None] * blobs).sum(dim=1, keepdim=True)

    def disc(self, radius=20.0):
        """Which pixels lie within `radius` of the centre."""
        return self.x**2 + self.y**2 <= radius**2
