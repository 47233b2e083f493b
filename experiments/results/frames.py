"""One case under every transformation, as frames that the report moves through.

The frames lie side by side in one sheet (WebP), in the order of the slider or sliders, the last one
fastest. The true outline is a solid line, that of the network a dashed one.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from experiments.results.figures import outline

EDGE = 144
"""Longer side of a frame in pixels, at most."""

COLUMNS = 8
TRUTH, FOUND = (0, 158, 115), (255, 122, 0)


@dataclass(eq=False)
class Frames:
    """The frames of one case, in RGB and all of one size."""

    case: str
    sliders: Mapping[str, Sequence[str]]
    """what each of them moves, and what it says at every stop"""
    start: int = 0
    """the frame shown first"""
    pictures: list[Image.Image] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    """about every frame"""

    def add(
        self,
        picture: NDArray[np.floating],
        truth: NDArray[np.bool_],
        found: NDArray[np.bool_],
        said: str,
        spacing: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        """The next frame: (H, W) or (H, W, 3) in [0, 1], under masks (regions, H, W), to scale."""
        height, width = (n * mm for n, mm in zip(picture.shape, spacing, strict=False))
        scale = EDGE / max(height, width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        pixels = np.asarray(np.clip(picture, 0, 1) * 255, dtype=np.uint8)
        frame = np.array(Image.fromarray(pixels).convert("RGB").resize(size))
        dashes = np.indices(frame.shape[:2]).sum(0) // 4 % 2 == 0
        for masks, colour, drawn in ((truth, TRUTH, True), (found, FOUND, dashes)):
            for mask in masks:
                large = Image.fromarray(mask.astype(np.uint8) * 255).resize(size)
                frame[outline(np.asarray(large) > 127) & drawn] = colour
        self.pictures.append(Image.fromarray(frame))
        self.said.append(said)

    def sheet(self) -> bytes:
        """All frames in one WebP, `COLUMNS` in a row."""
        stops = math.prod(map(len, self.sliders.values()))
        if not self.pictures or len(self.pictures) != stops:
            raise ValueError(f"{len(self.pictures)} frames for {stops} stops of the sliders")
        width, height = self.pictures[0].size
        columns = min(COLUMNS, stops)
        sheet = Image.new("RGB", (width * columns, height * math.ceil(stops / columns)))
        for index, picture in enumerate(self.pictures):
            sheet.paste(picture, (index % columns * width, index // columns * height))
        buffer = io.BytesIO()
        sheet.save(buffer, "webp", quality=55, method=6)
        return buffer.getvalue()

    def to_dict(self) -> dict[str, Any]:
        """What the report needs beside the sheet."""
        return {
            "file": "frames.webp",
            "case": self.case,
            "sliders": {name: list(stops) for name, stops in self.sliders.items()},
            "start": self.start,
            "size": list(self.pictures[0].size),
            "columns": min(COLUMNS, len(self.pictures)),
            "said": self.said,
        }


def spread(count: int, most: int) -> list[int]:
    """At most `most` of the indices 0 to count - 1, evenly, the first one among them."""
    return list(range(0, count, math.ceil(count / most)))
