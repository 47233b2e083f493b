"""Polyps made up on the spot: textured bumps on textured mucosa, with their masks.

The embedded default data set has no preferred direction. Light, folds, outlines, textures and
places are drawn uniformly over all directions, so that an image and its rotations are equally
likely and a network has nothing to gain from knowing which way is up. `lit` gives that up on
purpose: light from the top, polyps lying, folds standing, as if all recordings were made with the
same camera held the same way. A network trained on those can learn the direction, and is then lost
on a turned image unless it is equivariant.

A polyp is told by a closed outline, its relief and its finer texture, hardly by its colour. Folds,
smooth swellings, vessels, bubbles and highlights are there to be confused with it.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from experiments.common.files import new_folder
from experiments.data.cases import Sample, Source
from experiments.data.generated.series import check_series, generated_name, series
from experiments.data.generated.waves import Field, plane_waves
from experiments.data.images import Pixels

UP = np.pi / 2
LEAST_SIZE = 2


def generate(index: int, *, size: int, seed: int = 0, lit: bool = False) -> tuple[Pixels, Pixels]:
    """One image (3, size, size) with one polyp or two, and their mask (1, size, size), 0 or 1."""
    scene = _Scene(np.random.default_rng([seed, index]), size, lit)
    image = scene.paint()
    noisy = (image + scene.rng.normal(0.0, 0.01, image.shape)).clip(0.0, 1.0)
    return (255 * noisy).astype(np.uint8), (scene.inside >= 0.5).astype(np.uint8)[None]


def source(count: int, size: int, seed: int, lit: bool) -> Source:
    """A generated set; samples are made when they are asked for."""
    check_series(count, size, 2, least_count=3, least_size=LEAST_SIZE)
    cases = series(_sample, count, {}, size=size, seed=seed, lit=lit)
    return Source(cases, ("image",), ("polyp",), ("polyp",), 2)


def _sample(regions: Sequence[str], index: int, **options: int) -> Sample:
    image, mask = map(torch.from_numpy, generate(index, **options))
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
    check_series(count, size, 2, least_count=1, least_size=LEAST_SIZE)
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
        any_way, nearly = rng.uniform(0.0, 2 * np.pi, 3), rng.normal(0.0, np.deg2rad(8.0), 3)
        self.light, self.polyp, self.fold = np.array([UP, 0.0, UP]) + nearly if lit else any_way
        axis = ((np.arange(size) + 0.5) * (2.0 / size) - 1.0).astype(np.float32)
        self.x, self.y = np.meshgrid(axis, -axis)
        self.relief = 0.04 * self.waves(0.9)
        for _ in range(rng.integers(0, 3)):  # folds along parabolas
            u, v = _turned(*self.about(0.9), self.fold)
            distance = v - rng.uniform(-0.5, 0.5) * u**2
            width = rng.uniform(0.06, 0.16)
            height = rng.uniform(0.5, 1.2) * width
            self.relief += (height * np.exp(-((distance / width) ** 2))).astype(np.float32)
        for _ in range(rng.integers(0, 4)):  # swellings without an outline
            u, v = self.about(0.9)
            radius = rng.uniform(0.15, 0.35)
            height = rng.uniform(0.2, 0.6) * radius
            self.relief += (height * np.exp(-(u**2 + v**2) / radius**2)).astype(np.float32)
        self.inside = np.zeros_like(self.x)
        for _ in range(1 + (rng.uniform() < 0.25)):
            depth, radius = self.blob(self.polyp)
            edge = np.clip((1.0 - depth) * radius * size / 2 + 0.5, 0.0, 1.0)
            self.inside = np.maximum(self.inside, edge)
            height = radius * rng.uniform(0.25, 0.6)
            dome = np.clip(1.0 - depth**2, 0.0, None) ** rng.uniform(0.5, 0.9)
            self.relief += height * dome.astype(np.float32)

    def waves(self, wavelength: float, spread: float = 0.25) -> Field:
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
            amplitude, phase = self.rng.normal(0, 0.16 / frequency), self.rng.uniform(0, 2 * np.pi)
            outline += amplitude * np.cos(frequency * angle + phase)
        return np.hypot(u, v) / np.clip(outline, 0.5, None), radius

    def paint(self) -> Field:
        """The picture, of shape (3, size, size), about 0 to 1."""
        rng, inside, outside = self.rng, self.inside, 1.0 - self.inside
        grain, pits, patches, ripples = (self.waves(length) for length in (0.3, 0.22, 0.7, 0.35))
        mucosa = np.array([0.76, 0.41, 0.34]) + rng.normal(0.0, [0.05, 0.04, 0.04])
        albedo = 1.0 + 0.05 * patches + 0.05 * grain * outside
        albedo = albedo + rng.uniform(0.03, 0.09) * pits * inside
        colour = mucosa[:, None, None] * (albedo + self.tint() * inside)
        for _ in range(rng.integers(0, 3)):
            tint, (depth, _) = self.tint(), self.blob(rng.uniform(0.0, 2 * np.pi))
            colour *= 1.0 + tint / (1.0 + np.exp(8.0 * (depth - 1.0)))
        # Vessels are thin lines where a random field crosses zero, present in patches.
        lines = np.exp(-((self.waves(0.6, spread=0.5) / 0.14) ** 2))
        vessels = lines * np.clip(self.waves(1.0), 0.0, 1.0)
        colour *= 1.0 - vessels * outside * np.array([0.12, 0.35, 0.3])[:, None, None]

        tilt = np.deg2rad(rng.uniform(15.0, 45.0))
        x, y = np.cos(self.light), np.sin(self.light)
        light = np.array([x * np.sin(tilt), y * np.sin(tilt), np.cos(tilt)])
        # Lambert's law, and light that falls off from a point on the side of the lamp.
        shaded = colour * (0.35 + 0.65 * _facing(self.relief, light) / np.cos(tilt))
        distance = rng.uniform(0.0, 0.5)
        u, v = self.x - distance * x, self.y - distance * y
        exposure = rng.uniform(0.85, 1.2)
        shaded *= exposure / (1.0 + rng.uniform(0.1, 0.45) * (u**2 + v**2))
        # Highlights of the wet surface, after Blinn (SIGGRAPH 1977).
        halfway = light + np.array([0.0, 0.0, 1.0])
        halfway /= np.linalg.norm(halfway)
        glare = 0.9 * np.clip(_facing(self.relief + 0.006 * ripples, halfway), 0.0, 1.0) ** 500
        for _ in range(rng.integers(0, 4)):
            # Bubbles, seen as small bright rings.
            u, v = self.about(0.95)
            ring = (np.hypot(u, v) - rng.uniform(0.04, 0.1)) / 0.02
            ring = np.exp(-(ring**2))
            glare = np.maximum(glare, (rng.uniform(0.2, 0.6) * ring).astype(np.float32))
        return shaded * (1.0 - glare) + 0.95 * glare

    def tint(self) -> Field:
        """A slight change of colour, of shape (3, 1, 1)."""
        return (self.rng.normal(0.0, 0.04) + self.rng.normal(0.0, 0.02, 3))[:, None, None]


def _facing(relief: Field, direction: Field) -> Field:
    """How directly the surface faces a direction (right, up, to the camera), 0 to 1."""
    slopes = np.gradient(relief, 2.0 / len(relief))
    normals = np.stack([-slopes[1], slopes[0], np.ones_like(relief)])
    normals /= np.linalg.norm(normals, axis=0)
    return np.clip(np.einsum("c,crk->rk", direction, normals), 0.0, None)


def _turned(x: Field, y: Field, angle: float) -> tuple[Field, Field]:
    """Coordinates along and across a direction."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return cosine * x + sine * y, cosine * y - sine * x
