"""The evaluation of a run: right numbers, complete files, one clear message when it cannot be."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from experiments.common import evaluation
from experiments.common.errors import UserError
from experiments.common.runs import RunFolder, load_network
from experiments.polyp.data import open_data
from experiments.polyp.evaluate import EvaluationOptions, choose_pictures, evaluate_run
from experiments.polyp.rotation import RotationStudy
from tests.experiments.polyp_runs import SIZE, TEST_IMAGES, finished_run

QUICK = EvaluationOptions(angle_step=90, device="cpu")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An evaluated run of the p4 network."""
    path = finished_run(tmp_path_factory.mktemp("runs") / "p4")
    evaluate_run(path, QUICK)
    return path


def test_scores_are_those_of_the_best_checkpoint_on_the_test_images(run: Path) -> None:
    network, config = load_network(run)
    written = json.loads((run / "evaluation" / "evaluation.json").read_text())
    test = open_data(config).dataset_for("test")
    assert len(test) == len(written["images"]) == TEST_IMAGES
    for index, image in enumerate(written["images"]):
        item = test[index]
        with torch.no_grad():
            found = network(item["image"][None])[0, 0] > 0
        true = item["mask"][0] > 0
        both, either = (found & true).sum().item(), (found | true).sum().item()
        assert image["name"] == item["name"]
        assert image["iou"] == pytest.approx(both / either, abs=1e-5)
        assert image["dice"] == pytest.approx(2 * both / (both + either), abs=1e-5)
    mean = np.mean([image["dice"] for image in written["images"]])
    assert written["scores"]["dice"]["mean"] == pytest.approx(mean)


def test_the_csv_has_one_line_for_each_test_image(run: Path) -> None:
    written = json.loads((run / "evaluation" / "evaluation.json").read_text())
    with (run / "evaluation" / "per_image.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["name"] for line in lines] == [image["name"] for image in written["images"]]
    assert float(lines[0]["dice"]) == pytest.approx(written["images"][0]["dice"], abs=1e-6)


def test_the_p4_network_turns_its_masks_with_the_image(run: Path) -> None:
    rotation = json.loads((run / "evaluation" / "rotation.json").read_text())
    assert rotation["angles"] == [0, 90, 180, 270]
    assert len(rotation["values"]["agreement"][1]) == TEST_IMAGES
    known = [v for row in rotation["values"]["agreement"] for v in row if v is not None]
    # Not 1: rounding may tip a pixel whose logit is nearly 0.
    assert min(known, default=1.0) > 0.98


def test_what_was_evaluated_is_recorded(run: Path) -> None:
    written = json.loads((run / "evaluation" / "evaluation.json").read_text())
    assert written["network"] == "p4"
    assert written["config"]["size"] == SIZE
    assert written["options"]["angle_step"] == 90
    assert written["split"] == {
        "kind": "random",
        "seed": 0,
        "train": 28,
        "validation": 6,
        "test": TEST_IMAGES,
    }
    assert written["environment"]["versions"]["torch"] == torch.__version__
    assert written["cost"]["parameters"] > 0 and written["cost"]["reference"] == "plain"


def test_every_picture_that_is_named_is_there_and_no_other(run: Path) -> None:
    written = json.loads((run / "evaluation" / "evaluation.json").read_text())
    named = {run / "evaluation" / item["file"] for item in written["pictures"]}
    assert named == set((run / "evaluation" / "pictures").iterdir())
    for file in named:
        with Image.open(file) as picture:
            assert picture.format == "PNG" and picture.width > 4 * picture.height
    reasons = [why for item in written["pictures"] for why in item["reasons"]]
    assert {"best", "median", "worst"} <= set(reasons)


def test_evaluating_again_replaces_the_pictures_of_before(tmp_path: Path) -> None:
    path = finished_run(tmp_path / "run")
    stale = path / "evaluation" / "pictures" / "gone.png"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"")
    first, second = evaluate_run(path, QUICK), evaluate_run(path, QUICK)
    assert not stale.exists()
    assert first["scores"] == second["scores"] and first["pictures"] == second["pictures"]


def test_only_some_images_are_turned_when_asked(tmp_path: Path) -> None:
    path = finished_run(tmp_path / "run")
    evaluate_run(path, EvaluationOptions(angle_step=90, rotation_images=2, device="cpu"))
    rotation = json.loads((path / "evaluation" / "rotation.json").read_text())
    assert len(rotation["images"]) == 2
    with (path / "evaluation" / "per_image.csv").open() as file:
        turned = [line["mean_agreement_when_turned"] for line in csv.DictReader(file)]
    assert len(turned) == TEST_IMAGES and not any(turned[2:])


def test_a_run_that_is_not_finished_is_refused(tmp_path: Path) -> None:
    path = finished_run(tmp_path / "run")
    RunFolder(path).result_file.unlink()
    with pytest.raises(UserError, match=f"{path}: the training is not finished"):
        evaluate_run(path, QUICK)
    assert not (path / "evaluation").exists()


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{tmp_path}: not a run folder"):
        evaluate_run(tmp_path, QUICK)


def test_other_test_images_than_those_of_the_training_are_refused(tmp_path: Path) -> None:
    path = finished_run(tmp_path / "run")
    split = json.loads((path / "split.json").read_text())
    split["test"] = split["test"][1:]
    (path / "split.json").write_text(json.dumps(split))
    with pytest.raises(UserError, match=r"split\.json: the data gives other test samples"):
        evaluate_run(path, QUICK)


def test_a_broken_record_of_the_split_is_named(tmp_path: Path) -> None:
    path = finished_run(tmp_path / "run")
    (path / "split.json").write_text('{"kind": "random", "seed": 0}')
    with pytest.raises(UserError, match=r"split\.json: is no record of a split"):
        evaluate_run(path, QUICK)


def test_a_failure_leaves_the_earlier_evaluation_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = finished_run(tmp_path / "run")
    evaluate_run(path, QUICK)
    folder = path / "evaluation"
    before = {f: f.read_bytes() for f in folder.rglob("*") if f.is_file()}

    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(evaluation, "cost_of", fail)
    with pytest.raises(RuntimeError):
        evaluate_run(path, QUICK)
    assert {f: f.read_bytes() for f in folder.rglob("*") if f.is_file()} == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"angle_step": 40.0}, "--angle_step: the step is 40"),
        ({"rotation_images": -1}, "--rotation_images -1"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        EvaluationOptions(**options)


def test_a_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = finished_run(tmp_path / "run")
    with pytest.raises(UserError, match="--device quantum"):
        evaluate_run(path, EvaluationOptions(device="quantum"))


def study(agreement: Tensor, names: tuple[str, ...]) -> RotationStudy:
    angles = tuple(90.0 * index for index in range(len(agreement)))
    return RotationStudy(names, angles, "hide", agreement, agreement, agreement)


def test_pictures_are_of_the_best_the_median_the_worst_and_the_one_that_turns_worst() -> None:
    scores = {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.75, "e": 0.85}
    agreement = torch.tensor([[1.0, 1.0, 1.0, 1.0, 1.0], [0.9, 0.9, 0.8, 0.2, 0.9]])
    assert choose_pictures(scores, study(agreement, tuple(scores))) == {
        "a": ["best"],
        "b": ["median"],
        "c": ["worst"],
        "d": ["turns worst"],
    }


def test_outliers_are_pictured_and_an_image_without_any_mask_does_not_turn_worst() -> None:
    scores = {f"fine {i}": 0.9 + 0.001 * i for i in range(8)} | {"bad": 0.1, "worse": 0.0}
    agreement = torch.full((2, 10), 0.9)
    agreement[:, 9] = float("nan")
    agreement[1, 5] = 0.5
    chosen = choose_pictures(scores, study(agreement, tuple(scores)))
    assert chosen["worse"] == ["worst", "outlier"]
    assert chosen["bad"] == ["outlier"]
    assert chosen["fine 5"] == ["turns worst"]
