"""Images and masks are read whole, checked, and resized without moving the polyp."""

import numpy as np
import pytest
from PIL import Image

from experiments.common.errors import UserError
from experiments.polyp.images import read_image, read_mask, read_pair


def save(path, values, **options):
    Image.fromarray(np.asarray(values, dtype=np.uint8)).save(path, **options)
    return path


def disc(size, radius, centre=None):
    y, x = np.mgrid[:size, :size]
    row, column = centre or ((size - 1) / 2, (size - 1) / 2)
    return 255 * (np.hypot(y - row, x - column) < radius)


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_lossless_images_are_read_exactly(tmp_path, suffix):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3))
    assert np.array_equal(read_image(save(tmp_path / f"a.{suffix}", pixels)), pixels)


def test_grey_images_are_read_as_rgb(tmp_path):
    pixels = read_image(save(tmp_path / "a.png", np.full((4, 5), 7)))
    assert pixels.shape == (4, 5, 3)
    assert (pixels == 7).all()


@pytest.mark.parametrize("quality", [95, 75, 30])
def test_a_mask_survives_jpeg_compression(tmp_path, quality):
    expected = disc(200, 60)
    mask = read_mask(save(tmp_path / "a.jpg", expected, quality=quality))
    assert set(np.unique(mask)) == {0, 1}
    assert (mask != (expected > 0)).mean() < 0.005


@pytest.mark.parametrize("value", [0, 255])
def test_a_blank_or_a_full_mask_is_allowed(tmp_path, value):
    assert (read_mask(save(tmp_path / "a.png", np.full((8, 8), value))) == (value > 0)).all()


def test_a_mask_of_zeros_and_ones_is_not_taken_for_blank(tmp_path):
    values = disc(20, 5) // 255
    assert np.array_equal(read_mask(save(tmp_path / "a.png", values)), values)


def test_a_one_bit_mask_and_a_colour_mask_are_read_alike(tmp_path):
    values = disc(20, 5).astype(np.uint8)
    Image.fromarray(values).convert("1").save(tmp_path / "bit.png")
    save(tmp_path / "colour.png", np.repeat(values[..., None], 3, axis=-1))
    assert np.array_equal(read_mask(tmp_path / "bit.png"), values > 0)
    assert np.array_equal(read_mask(tmp_path / "colour.png"), values > 0)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (np.where(disc(64, 20) > 0, 38, 0), "0, 38"),
        (np.where(disc(64, 20) > 0, 128, disc(64, 30)), "0, 128, 255"),
        (np.arange(256).reshape(16, 16), "and 248 others"),
    ],
    ids=["dim", "three values", "ramp"],
)
def test_a_mask_that_is_not_binary_is_refused_and_its_values_named(tmp_path, values, named):
    path = save(tmp_path / "a.png", values)
    with pytest.raises(UserError, match=rf"a\.png is not a binary mask: .*{named}"):
        read_mask(path)


def test_a_photograph_is_not_taken_for_a_mask(tmp_path):
    rng = np.random.default_rng(0)
    path = save(tmp_path / "a.png", np.clip(rng.normal(128, 60, (64, 64)), 0, 255))
    with pytest.raises(UserError, match="not a binary mask"):
        read_mask(path)


@pytest.mark.parametrize("damage", ["empty", "text", "cut short"])
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_a_corrupt_file_is_told_by_name(tmp_path, damage, suffix):
    path = save(tmp_path / f"a.{suffix}", np.random.default_rng(0).integers(0, 256, (64, 64, 3)))
    content = path.read_bytes()
    path.write_bytes({"empty": b"", "text": b"hello", "cut short": content[:2000]}[damage])
    with pytest.raises(UserError, match=rf"a\.{suffix} .*corrupt"):
        read_image(path)


def test_a_missing_file_is_told_by_name(tmp_path):
    with pytest.raises(UserError, match=r"a\.png does not exist"):
        read_image(tmp_path / "a.png")


def test_pixels_of_sixteen_bits_are_refused_instead_of_clipped(tmp_path):
    Image.fromarray(np.full((4, 4), 40000, dtype=np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a\.png has pixels of mode I;16"):
        read_image(tmp_path / "a.png")


def test_a_mask_of_another_size_is_refused_with_both_sizes(tmp_path):
    image, mask = (
        save(tmp_path / "i.png", np.zeros((8, 6, 3))),
        save(tmp_path / "m.png", disc(9, 3)),
    )
    with pytest.raises(UserError, match=r"m\.png is 9x9 pixels but its image .*i\.png is 6x8"):
        read_pair(image, mask, size=8)


@pytest.mark.parametrize("shape", [(40, 60), (61, 33), (7, 9)])
def test_any_size_and_aspect_ratio_becomes_the_square_asked_for(tmp_path, shape):
    image = save(tmp_path / "i.png", np.zeros((*shape, 3)))
    mask = save(tmp_path / "m.png", np.zeros(shape))
    pixels, inside = read_pair(image, mask, size=32)
    assert pixels.shape == (3, 32, 32)
    assert inside.shape == (1, 32, 32)
    assert pixels.dtype == inside.dtype == np.uint8


def test_resizing_keeps_place_and_area_of_image_and_mask_alike(tmp_path):
    values = disc(256, 50, centre=(100, 150))
    image = save(tmp_path / "i.png", np.repeat(values[..., None], 3, axis=-1))
    pixels, mask = read_pair(image, save(tmp_path / "m.png", values), size=64)
    assert np.array_equal(pixels[0] >= 128, mask[0] > 0)
    assert abs(mask.mean() - (values > 0).mean()) < 0.002
    rows, columns = np.nonzero(mask[0])
    assert abs(rows.mean() + 0.5 - 100.5 / 4) < 0.1
    assert abs(columns.mean() + 0.5 - 150.5 / 4) < 0.1


def test_texture_finer_than_the_new_pixels_is_averaged_instead_of_aliased(tmp_path):
    stripes = np.tile([0, 255], (128, 64))
    image = save(tmp_path / "i.png", np.repeat(stripes[..., None], 3, axis=-1))
    pixels, _ = read_pair(image, save(tmp_path / "m.png", np.zeros((128, 128))), size=32)
    assert np.abs(pixels[:, :, 1:-1].astype(float) - 127.5).max() < 3
