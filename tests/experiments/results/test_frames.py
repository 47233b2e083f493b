"""Frames show what they were given, in the order of the sliders, and stay small."""

import io

import numpy as np
import pytest
from PIL import Image

from experiments.results.frames import COLUMNS, EDGE, FOUND, TRUTH, Frames, spread

BLOCK = np.zeros((1, 20, 30), dtype=bool)
BLOCK[:, 5:15, 5:15] = True


def frames(count: int) -> Frames:
    made = Frames("case", {"angle": [f"{index}" for index in range(count)]})
    for index in range(count):
        grey = np.full((20, 30), index / count)
        made.add(grey, BLOCK, np.roll(BLOCK, 10, 2), f"frame {index}")
    return made


def test_the_sheet_holds_every_frame_in_rows() -> None:
    made = frames(10)
    sheet = Image.open(io.BytesIO(made.sheet()))
    width, height = made.to_dict()["size"]
    assert (width, height) == (EDGE, round(EDGE * 20 / 30))
    assert sheet.format == "WEBP" and sheet.size == (COLUMNS * width, 2 * height)
    grey = [
        sheet.getpixel((i % COLUMNS * width + width - 5, i // COLUMNS * height + height - 5))[0]
        for i in range(10)
    ]
    assert grey == pytest.approx([255 * i / 10 for i in range(10)], abs=6)


def test_the_true_outline_is_solid_and_the_other_dashed() -> None:
    pixels = np.array(frames(1).pictures[0])
    true, found = ((pixels == colour).all(-1).sum() for colour in (TRUTH, FOUND))
    assert true > 1.5 * found > 0


def test_frames_are_drawn_to_scale() -> None:
    made = Frames("case", {"slice": ["1"]})
    made.add(
        np.zeros((20, 20)), np.zeros((1, 20, 20), bool), np.zeros((1, 20, 20), bool), "", (2, 1)
    )
    assert made.pictures[0].size == (EDGE // 2, EDGE)


def test_frames_that_do_not_fill_the_sliders_are_refused() -> None:
    with pytest.raises(ValueError, match="0 frames for 2 stops"):
        Frames("case", {"angle": ["0", "1"]}).sheet()


def test_a_few_of_many_are_spread_evenly() -> None:
    assert spread(4, 24) == [0, 1, 2, 3]
    assert spread(360, 24) == list(range(0, 360, 15))
    assert spread(100, 12)[0] == 0 and len(spread(100, 12)) <= 12
