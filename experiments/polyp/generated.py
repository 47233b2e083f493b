"""Polyps made up on the spot: textured bumps on textured mucosa, with their masks.

The embedded default data set: nothing to download, the same for everybody up to rounding, without a
preferred direction. Light, folds, outlines, textures and places are drawn uniformly over all
directions, so that an image and its rotations are equally likely and a network has nothing to gain
from knowing which way is up. `lit` gives that up on purpose: light from the top, polyps lying,
folds standing, as if all recordings were made with the same camera held the same way. A network
trained on those can learn the direction, and is then lost on a turned image unless it is
equivariant.

A polyp is told from its surroundings by a closed outline, its relief and its finer texture, hardly
by its colour. Folds, smooth swellings, vessels, bubbles and highlights are there to be confused
with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from experiments.common.errors import UserError
from experiments.common.files import new_folder
from experiments.polyp.images import Pixels
from experiments.polyp.texture import Field, plane_waves

UP = np.pi / 2


@dataclass(frozen=True)
class Directions:
    """The directions of a scene in radians, counter-clockwise from the right.

    Attributes:
        light: from where the light comes.
        polyp: the long axis of the polyps.
        fold: along which the folds run.
    """

    light: float
    polyp: float
    fold: float


@dataclass(frozen=True)
class Scene:
    """What a sample is painted from; every field has shape (size, size).

    Attributes:
        x: to the right, from -1 to 1.
        y: upwards, from -1 to 1.
        inside: how much of a pixel is polyp, 0 to 1.
        relief: height towards the camera, in units of half the image.
    """

    x: Field
    y: Field
    inside: Field
    relief: Field


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
    rng = np.random.default_rng([seed, index])
    directions = _draw_directions(rng, lit)
    axis = ((np.arange(size) + 0.5) * (2.0 / size) - 1.0).astype(np.float32)
    scene = _model(rng, directions, *np.meshgrid(axis, -axis))
    image = _paint(rng, directions, scene)
    noisy = image + rng.normal(0.0, 0.01, image.shape)
    return (
        (255 * np.clip(noisy, 0.0, 1.0)).astype(np.uint8),
        (scene.inside >= 0.5).astype(np.uint8)[None],
    )


def generated_name(index: int) -> str:
    """The name of a sample of the generated set."""
    return f"generated-{index:04d}"


def write_generated(folder: Path, count: int, size: int, seed: int = 0, lit: bool = False) -> None:
    """Write a generated set in the layout of Kvasir-SEG, without loss, as PNG.

    The folder appears when the set is complete; reading it back as `kvasir` at the same size gives
    exactly the samples of `generate`.

    Raises:
        UserError: when the folder holds anything already or cannot be written, or `count` or `size`
            is not at least 1.
    """
    for option, value in (("count", count), ("size", size)):
        if value < 1:
            raise UserError(f"{option} is {value}: it should be at least 1")
    with new_folder(folder) as temporary:
        for name in ("images", "masks"):
            (temporary / name).mkdir()
        for index in range(count):
            image, mask = generate(index, size=size, seed=seed, lit=lit)
            file = f"{generated_name(index)}.png"
            Image.fromarray(np.moveaxis(image, 0, -1)).save(temporary / "images" / file)
            Image.fromarray(255 * mask[0]).save(temporary / "masks" / file)


def _draw_directions(rng: np.random.Generator, lit: bool) -> Directions:
    any_way = rng.uniform(0.0, 2 * np.pi, 3)
    nearly = rng.normal(0.0, np.deg2rad(8.0), 3)
    if lit:
        return Directions(light=UP + nearly[0], polyp=nearly[1], fold=UP + nearly[2])
    return Directions(*any_way)


def _model(rng: np.random.Generator, directions: Directions, x: Field, y: Field) -> Scene:
    """Shape the mucosa and put one polyp on it, or two."""
    size = len(x)
    relief = 0.04 * plane_waves(rng, size, wavelength=0.9)
    for _ in range(rng.integers(0, 3)):
        relief += _fold(rng, directions.fold, x, y)
    for _ in range(rng.integers(0, 4)):
        relief += _swelling(rng, x, y)
    inside = np.zeros_like(x)
    for _ in range(1 + (rng.uniform() < 0.25)):
        depth, radius = _blob(rng, directions.polyp, x, y)
        inside = np.maximum(inside, _covered(depth, radius, size))
        height = radius * rng.uniform(0.25, 0.6)
        dome = np.clip(1.0 - depth**2, 0.0, None) ** rng.uniform(0.5, 0.9)
        relief += height * dome.astype(np.float32)
    return Scene(x, y, inside, relief)


def _blob(rng: np.random.Generator, axis: float, x: Field, y: Field) -> tuple[Field, float]:
    """A star-shaped region: where the first result is below 1, and its mean radius."""
    radius = float(np.exp(rng.uniform(np.log(0.2), np.log(0.45))))
    aspect = rng.uniform(1.1, 1.9)
    u, v = _turned(*_from_centre(rng, x, y, reach=0.6), axis)
    u, v = u / (radius * np.sqrt(aspect)), v / (radius / np.sqrt(aspect))
    angle = np.arctan2(v, u)
    outline = np.ones_like(x)
    for frequency in range(2, 6):
        amplitude = rng.normal(0.0, 0.16 / frequency)
        outline += amplitude * np.cos(frequency * angle + rng.uniform(0.0, 2 * np.pi))
    return np.hypot(u, v) / np.clip(outline, 0.5, None), radius


def _covered(depth: Field, radius: float, size: int) -> Field:
    """The share of each pixel inside the outline, with an edge about one pixel wide."""
    pixels_within = (1.0 - depth) * radius * size / 2
    return np.clip(pixels_within + 0.5, 0.0, 1.0)


def _fold(rng: np.random.Generator, axis: float, x: Field, y: Field) -> Field:
    """A ridge along a parabola."""
    u, v = _turned(*_from_centre(rng, x, y, reach=0.9), axis)
    bend = rng.uniform(-0.5, 0.5)
    distance = v - bend * u**2
    width = rng.uniform(0.06, 0.16)
    return (rng.uniform(0.5, 1.2) * width * np.exp(-((distance / width) ** 2))).astype(np.float32)


def _swelling(rng: np.random.Generator, x: Field, y: Field) -> Field:
    """A bump without an outline."""
    u, v = _from_centre(rng, x, y, reach=0.9)
    radius = rng.uniform(0.15, 0.35)
    return (rng.uniform(0.2, 0.6) * radius * np.exp(-(u**2 + v**2) / radius**2)).astype(np.float32)


def _paint(rng: np.random.Generator, directions: Directions, scene: Scene) -> Field:
    """The picture of a scene, of shape (3, size, size), about 0 to 1."""
    size = len(scene.x)
    grain = plane_waves(rng, size, wavelength=0.3)
    pits = plane_waves(rng, size, wavelength=0.22)
    patches = plane_waves(rng, size, wavelength=0.7)
    ripples = plane_waves(rng, size, wavelength=0.35)
    mucosa = np.array([0.76, 0.41, 0.34]) + rng.normal(0.0, [0.05, 0.04, 0.04])
    inside, outside = scene.inside, 1.0 - scene.inside
    albedo = 1.0 + 0.05 * patches + 0.05 * grain * outside + rng.uniform(0.03, 0.09) * pits * inside
    colour = mucosa[:, None, None] * (albedo + _tint(rng) * inside)
    for _ in range(rng.integers(0, 3)):
        colour *= 1.0 + _tint(rng) * _blush(rng, scene.x, scene.y)
    colour *= 1.0 - _vessels(rng, size) * outside * np.array([0.12, 0.35, 0.3])[:, None, None]

    tilt = np.deg2rad(rng.uniform(15.0, 45.0))
    light = np.array(
        [
            np.cos(directions.light) * np.sin(tilt),
            np.sin(directions.light) * np.sin(tilt),
            np.cos(tilt),
        ]
    )
    shaded = colour * (0.35 + 0.65 * _lambert(scene.relief, light) / np.cos(tilt))
    shaded *= _illumination(rng, directions, scene)
    glare = _glare(scene.relief + 0.006 * ripples, light)
    for _ in range(rng.integers(0, 4)):
        glare = np.maximum(glare, _bubble(rng, scene.x, scene.y))
    image: Field = shaded * (1.0 - glare) + 0.95 * glare
    return image


def _tint(rng: np.random.Generator) -> Field:
    """A slight change of colour, of shape (3, 1, 1)."""
    return (rng.normal(0.0, 0.04) + rng.normal(0.0, 0.02, 3))[:, None, None]


def _blush(rng: np.random.Generator, x: Field, y: Field) -> Field:
    """A flat patch of another colour with a blurred outline, 0 to 1."""
    depth, _ = _blob(rng, rng.uniform(0.0, 2 * np.pi), x, y)
    strength: Field = 1.0 / (1.0 + np.exp(8.0 * (depth - 1.0)))
    return strength


def _vessels(rng: np.random.Generator, size: int) -> Field:
    """Thin lines where a random field crosses zero, present in patches, 0 to 1."""
    lines: Field = np.exp(-((plane_waves(rng, size, wavelength=0.6, spread=0.5) / 0.14) ** 2))
    present = np.clip(plane_waves(rng, size, wavelength=1.0), 0.0, 1.0)
    return lines * present


def _normals(relief: Field) -> Field:
    """Unit normals of the relief, of shape (3, size, size): to the right, up, to the camera."""
    slopes = np.gradient(relief, 2.0 / len(relief))
    normals = np.stack([-slopes[1], slopes[0], np.ones_like(relief)])
    unit: Field = normals / np.linalg.norm(normals, axis=0)
    return unit


def _lambert(relief: Field, light: NDArray[np.float64]) -> Field:
    """How directly the light meets the surface, 0 to 1."""
    facing: Field = np.clip(np.einsum("c,crk->rk", light, _normals(relief)), 0.0, None)
    return facing


def _glare(relief: Field, light: NDArray[np.float64]) -> Field:
    """Highlights of the wet surface, after Blinn (SIGGRAPH 1977), 0 to 1."""
    halfway = light + np.array([0.0, 0.0, 1.0])
    halfway /= np.linalg.norm(halfway)
    facing: Field = np.clip(np.einsum("c,crk->rk", halfway, _normals(relief)), 0.0, 1.0)
    glare: Field = 0.9 * facing**500
    return glare


def _illumination(rng: np.random.Generator, directions: Directions, scene: Scene) -> Field:
    """Light that falls off from a point on the side of the lamp, and the exposure."""
    distance = rng.uniform(0.0, 0.5)
    u = scene.x - distance * np.cos(directions.light)
    v = scene.y - distance * np.sin(directions.light)
    brightness: Field = rng.uniform(0.85, 1.2) / (1.0 + rng.uniform(0.1, 0.45) * (u**2 + v**2))
    return brightness


def _bubble(rng: np.random.Generator, x: Field, y: Field) -> Field:
    """A small bright ring."""
    u, v = _from_centre(rng, x, y, reach=0.95)
    radius = rng.uniform(0.04, 0.1)
    ring = np.exp(-(((np.hypot(u, v) - radius) / 0.02) ** 2))
    return (rng.uniform(0.2, 0.6) * ring).astype(np.float32)


def _from_centre(rng: np.random.Generator, x: Field, y: Field, reach: float) -> tuple[Field, Field]:
    """Coordinates about a point drawn uniformly from the disc of radius `reach`."""
    distance, angle = reach * np.sqrt(rng.uniform()), rng.uniform(0.0, 2 * np.pi)
    return x - distance * np.cos(angle), y - distance * np.sin(angle)


def _turned(x: Field, y: Field, angle: float) -> tuple[Field, Field]:
    """Coordinates along and across a direction."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return cosine * x + sine * y, cosine * y - sine * x
