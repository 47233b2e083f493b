"""Small data sets in the official layouts, made on the spot."""

import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def save_pair(image: Path, mask: Path, size: tuple[int, int] = (20, 16), seed: int = 0) -> None:
    """Write a random picture and a mask with one white block; `size` is (width, height)."""
    width, height = size
    rng = np.random.default_rng(seed)
    for path in (image, mask):
        path.parent.mkdir(parents=True, exist_ok=True)
    picture = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    block = np.zeros((height, width), dtype=np.uint8)
    block[: height // 2, : width // 2] = 255
    Image.fromarray(picture).save(image)
    Image.fromarray(block).save(mask)


@pytest.fixture
def kvasir(tmp_path: Path) -> Path:
    """Ten samples in the layout of Kvasir-SEG, of different sizes."""
    root = tmp_path / "kvasir"
    for i in range(10):
        image, mask = root / "images" / f"cju{i}.jpg", root / "masks" / f"cju{i}.jpg"
        save_pair(image, mask, size=(20 + i, 16), seed=i)
    return root


@pytest.fixture
def clinicdb(tmp_path: Path) -> Path:
    """Frames of four of the sequences of CVC-ClinicDB, in its layout, without sequences.csv."""
    root = tmp_path / "clinicdb"
    for frame in (1, 2, 3, 10, 26, 27, 52, 53, 68, 69):
        image, mask = root / "Original" / f"{frame}.tif", root / "Ground Truth" / f"{frame}.tif"
        save_pair(image, mask, seed=frame)
    return root


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> Iterator[None]:
    """A shell starts its background jobs with SIGINT ignored, and what they start inherits that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
