"""Polyps made up on the spot: textured bumps on textured mucosa, with their masks.

The embedded default data set has no preferred direction. Light, folds, outlines, textures and
places are drawn uniformly over all directions, so that an image and its rotations are equally
likely and a network has nothing to gain from knowing which way is up. `lit` gives that up on
purpose: light from the top, polyps lying, folds standing, as if all recordings were made with the
same camera held the same way. A network trained on those can learn the direction, and is then lost
on a turned image unless it is equivariant.

A polyp is told from its surroundings by a closed outline, its relief and its finer texture, hardly
by its colour. Folds, smooth swellings, vessels, bubbles and highlights are there to be confused
with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from experiments.common.errors import UserError
from experiments.common.files import new_folder
from experiments.data.cases import Case, Sample, Source
from experiments.data.generated.waves import Field, plane_waves
from experiments.data.images import Pixels

UP = np.pi / 2


def generate(index: int, *, size: int, seed: int = 0, lit: bool = False) -> tuple[Pixels, Pixels]:
    """Make one sample; the same arguments always give the same one.

    Args:
        index: which sample.
        size: height and width in pixels.
        seed: of the whole set.
        lit: whether light, polyps and folds keep a fixed direction.

    Returns:
        An image of shape (3, size, size) and a mask of shape (1, size, size), 0 or 1, with one
        polyp or two.
    """
    scene = _Scene(np.random.default_rng([seed, index]), size, lit)
    image = scene.paint()
    noisy = image + scene.rng.normal(0.0, 0.01, image.shape)
    return (
        (255 * np.clip(noisy, 0.0, 1.0)).astype(np.uint8),
        (scene.inside >= 0.5).astype(np.uint8)[None],
    )


def generated_name(index: int) -> str:
    """The name of a sample of the generated set."""
    return f"generated-{index:04d}"


def source(count: int, **options: int) -> Source:
    """A generated set; `options` are those of `generate`."""
    cases = [
        Case(generated_name(index), make=partial(_sample, index=index, **options))
        for index in range(count)
    ]
    return Source(cases, ("image",), ("polyp",), ("polyp",), 2)


def _sample(regions: Sequence[str], index: int, **options: int) -> Sample:
    image, mask = (torch.from_numpy(values) for values in generate(index, **options))
    return Sample(generated_name(index), image, mask)


def write_generated(
    out: Path, count: int = 240, size: int = 96, seed: int = 0, lit: bool = False
) -> None:
    """Write generated images and masks to a folder, in the layout of Kvasir-SEG.

    Args:
        out: new or empty folder.
        count: number of images.
        size: side of an image in pixels.
        seed: other seeds give other images.
        lit: give the images a fixed direction of light, polyps and folds.
    """
    for option, value in (("count", count), ("size", size)):
        if value < 1:
            raise UserError(f"{option} is {value}: it should be at least 1")
    with new_folder(out) as temporary:
        for name in ("images", "masks"):
            (temporary / name).mkdir()
        for index in range(count):
            image, mask = generate(index, size=size, seed=seed, lit=lit)
            file = f"{generated_name(index)}.png"
            Image.fromarray(np.moveaxis(image, 0, -1)).save(temporary / "images" / file)
            Image.fromarray(255 * mask[0]).save(temporary / "masks" / file)


class _Scene:
    """What a sample is painted from.

    Coordinates are in units of half the image: x to the right and y upwards, from -1 to 1.
    Directions are in radians, counter-clockwise from the right: `light`, from where it comes,
    `polyp`, the long axis of the polyps, and `fold`, along which the folds run.
    """

    def __init__(self, rng: np.random.Generator, size: int, lit: bool) -> None:
        self.rng = rng
        self.size = size
        any_way, nearly = rng.uniform(0.0, 2 * np.pi, 3), rng.normal(0.0, np.deg2rad(8.0), 3)
        self.light, self.polyp, self.fold = np.array([UP, 0.0, UP]) + nearly if lit else any_way
        axis = ((np.arange(size) + 0.5) * (2.0 / size) - 1.0).astype(np.float32)
        self.x, self.y = np.meshgrid(axis, -axis)
        self.relief = 0.04 * self.waves(0.9)
        for _ in range(rng.integers(0, 3)):
            self.relief += self.ridge()
        for _ in range(rng.integers(0, 4)):
            self.relief += self.swelling()
        self.inside = np.zeros_like(self.x)
        for _ in range(1 + (rng.uniform() < 0.25)):
            depth, radius = self.blob(self.polyp)
            edge = np.clip((1.0 - depth) * radius * size / 2 + 0.5, 0.0, 1.0)
            self.inside = np.maximum(self.inside, edge)
            height = radius * rng.uniform(0.25, 0.6)
            dome = np.clip(1.0 - depth**2, 0.0, None) ** rng.uniform(0.5, 0.9)
            self.relief += height * dome.astype(np.float32)

    def waves(self, wavelength: float, spread: float = 0.25) -> Field:
        """A smooth random field."""
        return plane_waves(self.rng, (self.y[:, 0], self.x[0]), wavelength, spread)

    def about(self, reach: float) -> tuple[Field, Field]:
        """Coordinates about a point drawn uniformly from the disc of radius `reach`."""
        distance, angle = reach * np.sqrt(self.rng.uniform()), self.rng.uniform(0.0, 2 * np.pi)
        return self.x - distance * np.cos(angle), self.y - distance * np.sin(angle)

    def blob(self, axis: float) -> tuple[Field, float]:
        """A star-shaped region: where the first result is below 1, and its mean radius."""
        radius = float(np.exp(self.rng.uniform(np.log(0.2), np.log(0.45))))
        aspect = self.rng.uniform(1.1, 1.9)
        u, v = _turned(*self.about(0.6), axis)
        u, v = u / (radius * np.sqrt(aspect)), v / (radius / np.sqrt(aspect))
        angle = np.arctan2(v, u)
        outline = np.ones_like(self.x)
        for frequency in range(2, 6):
            amplitude = self.rng.normal(0.0, 0.16 / frequency)
            phase = self.rng.uniform(0.0, 2 * np.pi)
            outline += amplitude * np.cos(frequency * angle + phase)
        return np.hypot(u, v) / np.clip(outline, 0.5, None), radius

    def ridge(self) -> Field:
        """A fold along a parabola."""
        u, v = _turned(*self.about(0.9), self.fold)
        distance = v - self.rng.uniform(-0.5, 0.5) * u**2
        width = self.rng.uniform(0.06, 0.16)
        height = self.rng.uniform(0.5, 1.2) * width
        return (height * np.exp(-((distance / width) ** 2))).astype(np.float32)

    def swelling(self) -> Field:
        """A bump without an outline."""
        u, v = self.about(0.9)
        radius = self.rng.uniform(0.15, 0.35)
        height = self.rng.uniform(0.2, 0.6) * radius
        return (height * np.exp(-(u**2 + v**2) / radius**2)).astype(np.float32)

    def paint(self) -> Field:
        """The picture, of shape (3, size, size), about 0 to 1."""
        rng, inside, outside = self.rng, self.inside, 1.0 - self.inside
        grain, pits, patches, ripples = (self.waves(length) for length in (0.3, 0.22, 0.7, 0.35))
        mucosa = np.array([0.76, 0.41, 0.34]) + rng.normal(0.0, [0.05, 0.04, 0.04])
        albedo = 1.0 + 0.05 * patches + 0.05 * grain * outside
        albedo = albedo + rng.uniform(0.03, 0.09) * pits * inside
        colour = mucosa[:, None, None] * (albedo + self.tint() * inside)
        for _ in range(rng.integers(0, 3)):
            tint = self.tint()
            depth, _ = self.blob(rng.uniform(0.0, 2 * np.pi))
            colour *= 1.0 + tint / (1.0 + np.exp(8.0 * (depth - 1.0)))
        colour *= 1.0 - self.vessels() * outside * np.array([0.12, 0.35, 0.3])[:, None, None]

        tilt = np.deg2rad(rng.uniform(15.0, 45.0))
        across = np.array([np.cos(self.light), np.sin(self.light), 0.0]) * np.sin(tilt)
        light = across + np.array([0.0, 0.0, np.cos(tilt)])
        # Lambert's law, and light that falls off from a point on the side of the lamp.
        shaded = colour * (0.35 + 0.65 * _facing(self.relief, light) / np.cos(tilt))
        distance = rng.uniform(0.0, 0.5)
        u = self.x - distance * np.cos(self.light)
        v = self.y - distance * np.sin(self.light)
        exposure = rng.uniform(0.85, 1.2)
        shaded *= exposure / (1.0 + rng.uniform(0.1, 0.45) * (u**2 + v**2))
        # Highlights of the wet surface, after Blinn (SIGGRAPH 1977).
        halfway = light + np.array([0.0, 0.0, 1.0])
        halfway /= np.linalg.norm(halfway)
        glare = 0.9 * np.clip(_facing(self.relief + 0.006 * ripples, halfway), 0.0, 1.0) ** 500
        for _ in range(rng.integers(0, 4)):
            glare = np.maximum(glare, self.bubble())
        image: Field = shaded * (1.0 - glare) + 0.95 * glare
        return image

    def tint(self) -> Field:
        """A slight change of colour, of shape (3, 1, 1)."""
        return (self.rng.normal(0.0, 0.04) + self.rng.normal(0.0, 0.02, 3))[:, None, None]

    def vessels(self) -> Field:
        """Thin lines where a random field crosses zero, present in patches, 0 to 1."""
        lines: Field = np.exp(-((self.waves(0.6, spread=0.5) / 0.14) ** 2))
        return lines * np.clip(self.waves(1.0), 0.0, 1.0)

    def bubble(self) -> Field:
        """A small bright ring."""
        u, v = self.about(0.95)
        radius = self.rng.uniform(0.04, 0.1)
        ring = np.exp(-(((np.hypot(u, v) - radius) / 0.02) ** 2))
        return (self.rng.uniform(0.2, 0.6) * ring).astype(np.float32)


def _facing(relief: Field, direction: Field) -> Field:
    """How directly the surface faces a direction (right, up, to the camera), 0 to 1."""
    slopes = np.gradient(relief, 2.0 / len(relief))
    normals = np.stack([-slopes[1], slopes[0], np.ones_like(relief)])
    normals /= np.linalg.norm(normals, axis=0)
    facing: Field = np.clip(np.einsum("c,crk->rk", direction, normals), 0.0, None)
    return facing


def _turned(x: Field, y: Field, angle: float) -> tuple[Field, Field]:
    """Coordinates along and across a direction."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return cosine * x + sine * y, cosine * y - sine * x
