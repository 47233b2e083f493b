"""Masks for images: upright, at their own size, nothing lost when one image is broken."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from experiments.common.errors import UserError
from experiments.data.cases import Sample
from experiments.predicting import predict
from experiments.predicting.predict import predict_images, predict_sample
from tests.experiments.polyp_runs import finished_run


class Bright(nn.Module):
    """Marks what is bright."""

    def forward(self, image: Tensor) -> Tensor:
        return 40 * (image.mean(1, keepdim=True) - 0.5)


def block(width: int, height: int, white: float = 0.5) -> Image.Image:
    """A black picture whose left part is white."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[:, : int(width * white)] = 255
    return Image.fromarray(pixels)


def values_of(path: Path) -> Any:
    with Image.open(path) as image:
        return np.asarray(image)


def table_of(out: Path) -> list[dict[str, str]]:
    with (out / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Images of several formats and sizes, and a file that is none."""
    folder = tmp_path / "images"
    folder.mkdir()
    block(100, 60).save(folder / "wide.png")
    block(40, 90).save(folder / "high.JPG", quality=95)
    block(64, 64).save(folder / "square.tif")
    block(64, 32).save(folder / "new.webp", lossless=True)
    block(64, 32).save(folder / "old.gif")
    (folder / "notes.txt").write_text("not an image")
    return folder


@pytest.fixture(autouse=True)
def bright(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every checkpoint holds the network that marks what is bright, trained at 32 pixels."""
    if "real" not in request.node.name:
        monkeypatch.setattr(predict, "load_network", lambda _: (Bright().eval(), {"size": 32}))


def test_every_image_gets_a_mask_and_an_overlay_of_its_own_size(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "masks"
    written = predict_images(Path("any.ckpt"), [images], out)
    assert len(list(out.iterdir())) == 2 * 5 + 2
    sizes = {"high": (40, 90), "new": (64, 32), "old": (64, 32), "square": (64, 64)}
    sizes["wide"] = (100, 60)
    assert written == [out / f"{name}_mask.png" for name in sizes]
    for row, (name, (width, height)) in zip(table_of(out), sizes.items(), strict=True):
        mask = values_of(out / f"{name}_mask.png")
        assert mask.shape == (height, width) and set(np.unique(mask)) == {0, 255}
        assert ((mask > 0) != (np.arange(width) < width / 2)).mean() < 0.03
        assert values_of(out / f"{name}_overlay.png").shape == (height, width, 3)
        assert (row["case"], row["region"]) == (name, "polyp")
        assert int(row["pixels"]) == (mask > 0).sum()
        assert float(row["share"]) == pytest.approx((mask > 0).mean(), abs=1e-6)
    assert "not for clinical use" in capsys.readouterr().err
    assert "not for clinical use" in (out / "predictions.txt").read_text()


def test_the_mask_is_right_to_the_pixel_at_the_size_of_the_training() -> None:
    image = torch.rand(1, 32, 32, generator=torch.manual_seed(0)).gt(0.5).byte().mul(255)
    found = predict_sample(Bright(), Sample("one", image.repeat(3, 1, 1), None), size=32)
    torch.testing.assert_close(found > 0.5, image > 0)


def test_the_mask_of_an_image_that_is_stored_turned_lies_over_it_as_it_is_shown(
    tmp_path: Path,
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: left becomes top
    block(64, 32).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    (mask,) = predict_images(Path("any"), [tmp_path / "turned.jpg"], tmp_path / "out")
    assert values_of(mask).shape == (64, 32)
    assert ((values_of(mask) > 0) != (np.arange(64) < 32)[:, None]).mean() < 0.05


def test_the_overlay_leaves_the_image_as_it_is_outside_the_mask(
    images: Path, tmp_path: Path
) -> None:
    (mask,) = predict_images(Path("any"), [images / "wide.png"], tmp_path / "out")
    inside = values_of(mask) > 0
    before, after = values_of(images / "wide.png"), values_of(mask.with_name("wide_overlay.png"))
    np.testing.assert_array_equal(after[~inside], before[~inside])
    assert (after[inside] != before[inside]).any(axis=-1).all()


def test_an_overlay_on_which_nothing_was_found_says_so(tmp_path: Path) -> None:
    block(200, 200, white=0).save(tmp_path / "dark.png")
    predict_images(Path("any"), [tmp_path / "dark.png"], tmp_path / "out")
    written = values_of(tmp_path / "out" / "dark_overlay.png")
    assert 0.005 < (written > 128).mean() < 0.05
    assert table_of(tmp_path / "out")[0]["pixels"] == "0"


def test_probabilities_are_written_and_the_threshold_cuts_them(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(112, 144, dtype=np.uint8), (32, 1))
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    for threshold in (0.2, 0.5, 0.9):
        out = tmp_path / str(threshold)
        (mask,) = predict_images(
            Path("any"), [tmp_path / "ramp.png"], out, threshold=threshold, probabilities=True
        )
        found = values_of(out / "ramp_probability.png")
        assert found.dtype == np.uint16
        expected = 1 / (1 + np.exp(-40 * (ramp / 255 - 0.5)))
        np.testing.assert_allclose(found / 65535, expected, atol=1e-4)
        np.testing.assert_array_equal(values_of(mask) > 0, expected > threshold)


@pytest.mark.parametrize("fault", ["corrupt", "animated", "16 bits", "memory", "bug"])
def test_a_faulty_image_is_named_and_the_others_are_done(
    fault: str,
    images: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = images / ("broken.gif" if fault == "animated" else "broken.png")
    block(8, 8).save(broken)
    if fault == "corrupt":
        broken.write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    elif fault == "animated":
        block(8, 8).save(broken, save_all=True, append_images=[block(8, 8, 0.2)])
    elif fault == "16 bits":
        Image.fromarray(np.zeros((8, 8), np.uint16)).save(broken)
    else:
        error = MemoryError() if fault == "memory" else KeyError("bug")

        def fail(network: nn.Module, sample: Sample, **others: Any) -> Tensor:
            if sample.name == "broken":
                raise error
            return predict_sample(network, sample, **others)

        monkeypatch.setattr(predict, "predict_sample", fail)
    with pytest.raises(UserError, match=r"1 of 6 cases could not be segmented \(broken\)"):
        predict_images(Path("any.ckpt"), [images], tmp_path / "out")
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2 and "broken" in told[1]
    assert ("broken: does not fit into memory" in told[1]) or fault != "memory"
    assert len(list((tmp_path / "out").glob("*_mask.png"))) == 5
    assert not (tmp_path / "out" / "broken_mask.png").exists()
    errors = {row["case"]: row["error"] for row in table_of(tmp_path / "out") if row["error"]}
    assert errors == {"broken": told[1].removeprefix("error: ")}


def test_earlier_masks_are_only_replaced_when_asked(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    earlier = out / "wide_mask.png"
    earlier.write_text("earlier")
    with pytest.raises(UserError, match=r"wide_mask\.png is there already.*--overwrite true"):
        predict_images(Path("any.ckpt"), [images], out)
    assert [file.name for file in out.iterdir()] == ["wide_mask.png"]
    assert earlier.read_text() == "earlier"
    predict_images(Path("any.ckpt"), [images], out, overwrite=True)
    assert values_of(earlier).shape == (60, 100)


def test_what_makes_no_sense_is_refused_before_anything_is_written(
    images: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    out, notes = tmp_path / "out", images / "notes.txt"
    for inputs, target, message in (
        ([tmp_path / "empty"], out, "empty is or holds no image"),
        ([notes], out, r"notes\.txt is or holds no image"),
        ([images, tmp_path / "missing"], out, "missing does not exist"),
        ([], out, "name files or folders"),
        ([images], images, "is the folder of the inputs"),
        ([images / "wide.png"], images, "is the folder of the inputs"),
        ([images], notes, "is a file"),
    ):
        with pytest.raises(UserError, match=message):
            predict_images(Path("any.ckpt"), inputs, target)
    with pytest.raises(UserError, match=r"--threshold 1\.5: must lie between 0 and 1"):
        predict_images(Path("any.ckpt"), [images], out, threshold=1.5)
    block(10, 10).save(images / "wide.bmp")
    with pytest.raises(UserError, match="two of the inputs are called wide"):
        predict_images(Path("any.ckpt"), [images], out)
    assert not out.exists()


def test_a_real_run_folder_and_its_checkpoint_give_the_same_masks(
    images: Path, tmp_path: Path
) -> None:
    run = finished_run(tmp_path / "run")
    first = predict_images(run, [images], tmp_path / "a", device="cpu")
    second = predict_images(run / "checkpoints" / "best.ckpt", [images], tmp_path / "b")
    assert [a.read_bytes() for a in first] == [b.read_bytes() for b in second]
    with pytest.raises(UserError, match=r"notes\.txt"):
        predict_images(images / "notes.txt", [images], tmp_path / "out")
    assert not (tmp_path / "out").exists()
