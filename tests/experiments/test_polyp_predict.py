"""Masks for a folder of images: at their own size, nothing lost when one image is broken."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from experiments.common.errors import UserError
from experiments.polyp import predict
from experiments.polyp.predict import predict_folder, predict_mask
from tests.experiments.polyp_runs import finished_run


class Bright(nn.Module):
    """Marks what is bright."""

    def forward(self, image: Tensor) -> Tensor:
        return 40 * (image.mean(1, keepdim=True) - 0.5)


def block(width: int, height: int) -> Image.Image:
    """A black picture whose left half is white."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[:, : width // 2] = 255
    return Image.fromarray(pixels)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Images of three formats and sizes, and a file that is none."""
    folder = tmp_path / "images"
    folder.mkdir()
    block(100, 60).save(folder / "wide.png")
    block(40, 90).save(folder / "high.JPG", quality=95)
    block(64, 64).save(folder / "square.tif")
    (folder / "notes.txt").write_text("not an image")
    return folder


@pytest.fixture
def bright(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every checkpoint holds the network that marks what is bright, trained at 32 pixels."""
    monkeypatch.setattr(predict, "load_network", lambda _: (Bright().eval(), {"size": 32}))


@pytest.mark.usefixtures("bright")
def test_every_image_gets_a_mask_and_an_overlay_of_its_own_size(
    images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "masks"
    written = predict_folder("any.ckpt", images, out)
    assert {file.name for file in written} == {
        "wide_mask.png",
        "high_mask.png",
        "square_mask.png",
    }
    assert len(list(out.iterdir())) == 6
    for name, size in (("wide", (100, 60)), ("high", (40, 90)), ("square", (64, 64))):
        with Image.open(out / f"{name}_mask.png") as mask:
            assert mask.size == size and mask.mode == "L"
            values = np.asarray(mask)
        assert set(np.unique(values)) == {0, 255}
        truth = np.zeros(values.shape, dtype=bool)
        truth[:, : size[0] // 2] = True
        assert ((values > 0) != truth).mean() < 0.03
        with Image.open(out / f"{name}_overlay.png") as overlay:
            assert overlay.size == size and overlay.mode == "RGB"


def test_the_mask_is_right_to_the_pixel_at_the_size_of_the_training() -> None:
    image = (255 * (np.random.default_rng(0).random((32, 32, 1)) > 0.5)).astype(np.uint8)
    mask = predict_mask(Bright(), np.repeat(image, 3, 2), 32, torch.device("cpu"))
    np.testing.assert_array_equal(mask, image[..., 0] > 0)


@pytest.mark.usefixtures("bright")
def test_the_overlay_leaves_the_image_as_it_is_outside_the_mask(
    images: Path, tmp_path: Path
) -> None:
    predict_folder("any.ckpt", images, tmp_path / "out")
    with (
        Image.open(images / "wide.png") as image,
        Image.open(tmp_path / "out" / "wide_overlay.png") as overlay,
        Image.open(tmp_path / "out" / "wide_mask.png") as mask,
    ):
        inside = np.asarray(mask) > 0
        before, after = np.asarray(image), np.asarray(overlay)
    np.testing.assert_array_equal(after[~inside], before[~inside])
    assert (after[inside] != before[inside]).any(axis=-1).all()


@pytest.mark.usefixtures("bright")
def test_a_corrupt_image_is_named_and_the_others_are_done(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (images / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    with pytest.raises(UserError, match=r"1 of 4 images could not be read \(broken\.png\)"):
        predict_folder("any.ckpt", images, tmp_path / "out")
    assert str(images / "broken.png") in capsys.readouterr().err
    assert len(list((tmp_path / "out").glob("*_mask.png"))) == 3
    assert not (tmp_path / "out" / "broken_mask.png").exists()


@pytest.mark.usefixtures("bright")
def test_earlier_masks_are_only_replaced_when_asked(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    earlier = out / "wide_mask.png"
    earlier.write_text("earlier")
    with pytest.raises(UserError, match=r"wide_mask\.png is there already.*--overwrite true"):
        predict_folder("any.ckpt", images, out)
    assert [file.name for file in out.iterdir()] == ["wide_mask.png"]
    assert earlier.read_text() == "earlier"
    predict_folder("any.ckpt", images, out, overwrite=True)
    with Image.open(earlier) as mask:
        assert mask.size == (100, 60)


@pytest.mark.usefixtures("bright")
def test_two_images_of_the_same_name_do_not_overwrite_each_other(
    images: Path, tmp_path: Path
) -> None:
    block(10, 10).save(images / "wide.bmp")
    with pytest.raises(UserError, match=r"wide\.bmp and .*wide\.png would both be written"):
        predict_folder("any.ckpt", images, tmp_path / "out")


@pytest.mark.usefixtures("bright")
def test_folders_that_make_no_sense_are_refused(images: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match=f"{empty} holds no images"):
        predict_folder("any.ckpt", empty, tmp_path / "out")
    with pytest.raises(UserError, match="is not a folder of images"):
        predict_folder("any.ckpt", tmp_path / "missing", tmp_path / "out")
    with pytest.raises(UserError, match="is the folder of the images"):
        predict_folder("any.ckpt", images, images)
    with pytest.raises(UserError, match="is a file"):
        predict_folder("any.ckpt", images, images / "notes.txt")
    assert not (tmp_path / "out").exists()


def test_a_run_folder_and_its_checkpoint_give_the_same_masks(images: Path, tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run")
    first = predict_folder(run, images, tmp_path / "a", device="cpu")
    second = predict_folder(run / "checkpoints" / "best.ckpt", images, tmp_path / "b", device="cpu")
    assert [a.read_bytes() for a in first] == [b.read_bytes() for b in second]


def test_a_wrong_checkpoint_is_named_before_anything_is_written(
    images: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"notes\.txt"):
        predict_folder(images / "notes.txt", images, tmp_path / "out")
    assert not (tmp_path / "out").exists()
