"""Images and masks are read whole, checked, and resized without moving what is outlined."""

import numpy as np
import pytest
import torch
from PIL import Image

from experiments.common.errors import UserError
from experiments.data.cases import Case
from experiments.data.images import open_image, read_image, read_pair
from experiments.data.transforms import prepare, restore

TURNED = 6
"""The EXIF orientation of a picture taken with the camera held upright."""


def save(path, values, orientation=None, **options):
    image = Image.fromarray(np.asarray(values, dtype=np.uint8))
    if orientation:
        options["exif"] = image.getexif()
        options["exif"][0x0112] = orientation
    image.save(path, **options)
    return path


def disc(size, radius, centre=None):
    y, x = np.mgrid[:size, :size]
    row, column = centre or ((size - 1) / 2, (size - 1) / 2)
    return 255 * (np.hypot(y - row, x - column) < radius)


def case(tmp_path, mask, image=None, suffix="png", regions=None, **options):
    """A case of a mask and a black image of its size."""
    size = np.shape(mask)[:2]
    picture = save(tmp_path / "i.png", np.zeros((*size, 3)) if image is None else image)
    label = save(tmp_path / f"m.{suffix}", mask, **options)
    return Case("a", {"image": picture}, label, regions=regions or {})


def read_mask(tmp_path, values, **options):
    return read_pair(case(tmp_path, values, **options), ["mask"]).mask[0].numpy()


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "webp", "gif"])
def test_images_are_read_as_rgb(tmp_path, suffix):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3))
    lossless = {"lossless": True} if suffix == "webp" else {}
    read = read_image(save(tmp_path / f"a.{suffix}", pixels, **lossless))
    assert read.shape == (9, 7, 3) and (suffix == "gif" or np.array_equal(read, pixels))
    assert (read_image(save(tmp_path / "grey.png", np.full((4, 5), 7))) == 7).all()


@pytest.mark.parametrize("quality", [95, 75, 30])
def test_a_mask_survives_jpeg_compression(tmp_path, quality):
    expected = disc(200, 60)
    mask = read_mask(tmp_path, expected, suffix="jpg", quality=quality)
    assert set(np.unique(mask)) == {0, 1}
    assert (mask != (expected > 0)).mean() < 0.005


def test_masks_of_any_form_are_read_alike(tmp_path):
    values = disc(20, 5).astype(np.uint8)
    opaque = np.dstack([values, values, values, np.full_like(values, 255)])
    for stored in (values, values // 255, opaque[..., :3], opaque, values > 0):
        assert np.array_equal(read_mask(tmp_path, stored), values > 0)
    for value in (0, 255):
        assert (read_mask(tmp_path, np.full((8, 8), value)) == (value > 0)).all()


def test_a_transparent_mask_is_refused_instead_of_read_as_empty(tmp_path):
    values = np.zeros((20, 20, 4))
    values[..., 3] = disc(20, 5)
    with pytest.raises(UserError, match=r"m\.png is partly transparent: save the mask in grey"):
        read_mask(tmp_path, values)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (np.where(disc(64, 20) > 0, 38, 0), "0, 38"),
        (np.where(disc(64, 20) > 0, 128, disc(64, 30)), "0, 128, 255"),
        (np.arange(256).reshape(16, 16), "and 248 others"),
        (np.clip(np.random.default_rng(0).normal(128, 60, (64, 64)), 0, 255), "others"),
    ],
    ids=["dim", "three values", "ramp", "photograph"],
)
def test_a_mask_that_is_not_binary_is_refused_and_its_values_named(tmp_path, values, named):
    with pytest.raises(UserError, match=rf"m\.png is not a binary mask: .*{named}"):
        read_mask(tmp_path, values)


def test_labels_are_regions_and_unknown_ones_are_refused(tmp_path):
    labels = np.repeat([[0, 1, 2]], 2, 0)
    regions = {"organ": (1, 2), "tumour": (2,)}
    sample = read_pair(case(tmp_path, labels, regions=regions), ["organ", "tumour"])
    assert sample.mask[:, 0].tolist() == [[0, 1, 1], [0, 0, 1]]
    with pytest.raises(UserError, match=r"m\.png of a holds the label 2: known are 0, 1"):
        read_pair(case(tmp_path, labels, regions={"organ": (1,)}), ["organ"])


@pytest.mark.parametrize("damage", ["empty", "text", "cut short"])
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
@pytest.mark.parametrize("whole", [True, False])
def test_a_corrupt_file_is_told_by_name(tmp_path, damage, suffix, whole):
    path = save(tmp_path / f"a.{suffix}", np.random.default_rng(0).integers(0, 256, (64, 64, 3)))
    content = path.read_bytes()
    path.write_bytes({"empty": b"", "text": b"hello", "cut short": content[:2000]}[damage])
    with pytest.raises(UserError, match=rf"a\.{suffix} .*corrupt"):
        open_image(path, whole)


def test_what_cannot_be_taken_as_an_8_bit_image_is_told_by_name(tmp_path):
    with pytest.raises(UserError, match=r"a\.png does not exist"):
        read_image(tmp_path / "a.png")
    Image.fromarray(np.full((4, 4), 40000, dtype=np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a\.png has pixels of mode I;16"):
        read_image(tmp_path / "a.png")
    frames = [Image.fromarray(np.full((4, 4), value, dtype=np.uint8)) for value in (0, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(UserError, match=r"a\.gif holds 2 images"):
        read_image(tmp_path / "a.gif")


def test_a_mask_of_another_size_is_refused_with_both_sizes(tmp_path):
    with pytest.raises(UserError, match=r"m\.png is 9x9 pixels but its image .*i\.png is 6x8"):
        read_pair(case(tmp_path, disc(9, 3), np.zeros((8, 6, 3))), ["mask"])


def test_the_orientation_of_a_camera_is_applied_to_both_or_refused(tmp_path):
    mask = np.zeros((8, 12))
    mask[:3] = 255
    picture = np.repeat(mask[..., None], 3, axis=-1)
    image = save(tmp_path / "i.jpg", picture, TURNED, quality=100, subsampling=0)
    turned = save(tmp_path / "turned.jpg", mask, TURNED, quality=100)
    sample = read_pair(Case("a", {"image": image}, turned), ["mask"])
    assert sample.mask.shape == (1, 12, 8) and sample.mask[0, :, -3:].all()
    assert torch.equal(sample.image[0] > 128, sample.mask[0] > 0)
    upright = save(tmp_path / "upright.png", np.rot90(mask, -1))
    with pytest.raises(UserError, match=r"i\.jpg is stored turned \(EXIF orientation 6\)"):
        read_pair(Case("a", {"image": image}, upright), ["mask"])


@pytest.mark.parametrize("shape", [(40, 60), (61, 33), (7, 9)])
def test_any_size_becomes_the_square_asked_for_and_comes_back(tmp_path, shape):
    prepared = prepare(read_pair(case(tmp_path, np.zeros(shape)), ["mask"]), size=32)
    assert prepared.image.shape == (3, 32, 32) and prepared.mask.shape == (1, 32, 32)
    assert prepared.image.dtype == prepared.mask.dtype == torch.uint8
    assert restore(prepared, torch.ones(2, 32, 32)).shape == (2, *shape)


def test_resizing_keeps_place_and_area_of_image_and_mask_alike(tmp_path):
    values = disc(256, 50, centre=(100, 150))
    sample = read_pair(case(tmp_path, values, np.repeat(values[..., None], 3, -1)), ["mask"])
    prepared = prepare(sample, size=64)
    assert torch.equal(prepared.image[0] >= 128, prepared.mask[0] > 0)
    assert abs(prepared.mask.float().mean() - (values > 0).mean()) < 0.002
    rows, columns = np.nonzero(prepared.mask[0].numpy())
    assert abs(rows.mean() + 0.5 - 100.5 / 4) < 0.1
    assert abs(columns.mean() + 0.5 - 150.5 / 4) < 0.1
    back = restore(prepared, prepared.mask.float()) > 0.5
    assert (back[0].numpy() != (values > 0)).mean() < 0.005


def test_texture_finer_than_the_new_pixels_is_averaged_instead_of_aliased(tmp_path):
    stripes = np.repeat(np.tile([0, 255], (128, 64))[..., None], 3, axis=-1)
    sample = read_pair(case(tmp_path, np.zeros((128, 128)), stripes), ["mask"])
    prepared = prepare(sample, size=32)
    assert (prepared.image[:, :, 1:-1].float() - 127.5).abs().max() < 3
