"""The evaluation of a run: right numbers, complete files, one clear message when it cannot be."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from experiments.common.errors import UserError
from experiments.common.runs import RunFolder, load_network
from experiments.data.transforms import prepare
from experiments.tumour import evaluate, inference, layers
from experiments.tumour.data import open_data
from experiments.tumour.evaluate import EvaluationOptions, evaluate_run
from experiments.tumour.scaling import METRICS, PROTOCOLS
from tests.experiments.tumour_runs import SIZE, TEST_CASES, finished_run

QUICK = EvaluationOptions(scales=[0.8, 1.0], device="cpu")


@pytest.fixture(scope="module", autouse=True)
def small_layers() -> Any:
    """Layers are measured on small volumes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layers, "_SIZE", 16)
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An evaluated run of a scale network on three regions."""
    path = finished_run(tmp_path_factory.mktemp("runs") / "scale", "scale_max", regions="all")
    evaluate_run(path, QUICK)
    return path


def read(run: Path, name: str) -> Any:
    return json.loads((run / "evaluation" / f"{name}.json").read_text())


def test_scores_are_those_of_the_best_checkpoint_on_the_test_cases(run: Path) -> None:
    network, config = load_network(run)
    written = read(run, "evaluation")
    data = open_data(config)
    test = data.dataset_for("test")
    assert len(test) == len(written["images"]) == TEST_CASES
    for index, case in enumerate(written["images"]):
        item: Any = test[index]
        with torch.no_grad():
            found = network(item["image"][None])[0] > 0
        # Nothing that is found in the padding around the patient counts.
        edges = prepare(data.sample(item["name"]), spacing=data.voxel).image.shape[1:]
        padded = item["mask"].shape[1:]
        starts = [(there - here) // 2 for there, here in zip(padded, edges, strict=True)]
        place = (..., *(slice(a, a + n) for a, n in zip(starts, edges, strict=True)))
        found, true = found[place], item["mask"][place] > 0
        assert case["name"] == item["name"]
        expected = []
        for region, ours, theirs in zip(written["regions"], found, true, strict=True):
            both, sizes = (ours & theirs).sum().item(), ours.sum().item() + theirs.sum().item()
            expected.append(2 * both / sizes if sizes else 1.0)
            assert case["regions"][region]["dice"] == pytest.approx(expected[-1], abs=2e-3)
        assert case["dice"] == pytest.approx(np.mean(expected), abs=2e-3)
    mean = np.mean([case["dice"] for case in written["images"]])
    assert written["scores"]["dice"]["mean"] == pytest.approx(mean)


def test_scores_at_scale_one_are_those_of_the_evaluation(run: Path) -> None:
    written, scales = read(run, "evaluation"), read(run, "scales")
    index = scales["scales"].index(1.0)
    for metric in METRICS:
        for region, values in scales["protocols"]["resampled"]["values"][metric].items():
            shown = [
                case[metric] if region == "mean" else case["regions"][region][metric]
                for case in written["images"]
            ]
            assert values[index] == pytest.approx(shown)


def test_every_scale_and_protocol_has_a_value_for_every_case_and_region(run: Path) -> None:
    written, scales = read(run, "evaluation"), read(run, "scales")
    assert scales["of"] == written["finished_at"]
    assert scales["images"] == [case["name"] for case in written["images"]]
    for protocol in PROTOCOLS:
        for metric in METRICS:
            values = scales["protocols"][protocol]["values"][metric]
            assert set(values) == {"mean", "whole", "core", "enhancing"}
            for rows in values.values():
                assert np.shape(rows) == (2, TEST_CASES)
    assert scales["equivariance"]["statistics"]["error"][1]["mean"] == 0


@pytest.mark.parametrize("network", ["scale_mean", "plain_width"])
def test_layers_of_every_network_are_measured_against_the_same_scalings(
    network: str, tmp_path: Path
) -> None:
    path = finished_run(tmp_path / network, network)
    evaluation = evaluate_run(path, EvaluationOptions(scales=[1.0], device="cpu"))
    written = read(path, "layers")
    assert written["of"] == evaluation["finished_at"]
    assert [table["factor"] for table in written["elements"]] == [0.9, 0.81, 0.729]
    for table in written["elements"]:
        assert table["rows"][-1]["name"] == "head"
        assert all(row["error"] >= 0 for row in table["rows"])


def test_the_csv_has_one_line_for_each_case_and_a_column_for_each_region(run: Path) -> None:
    written = read(run, "evaluation")
    with (run / "evaluation" / "per_case.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["name"] for line in lines] == [case["name"] for case in written["images"]]
    for line, case in zip(lines, written["images"], strict=True):
        assert float(line["soft_dice"]) == pytest.approx(case["soft_dice"], abs=1e-6)
        core = case["regions"]["core"]["hausdorff_95"]
        assert float(line["hausdorff_95_core"]) == pytest.approx(core, abs=1e-6)


def test_what_was_evaluated_is_recorded(run: Path) -> None:
    written = read(run, "evaluation")
    assert written["network"] == "scale_max"
    assert written["config"]["size"] == SIZE
    assert written["options"] == {"scales": [0.8, 1.0], "tile": None, "device": "cpu"}
    assert written["split"]["test"] == TEST_CASES
    assert written["data"]["modalities"] == ["flair", "t1", "t1ce", "t2"]
    assert written["cost"]["parameters"] > 0 and written["cost"]["reference"] == "plain"
    assert written["cost"]["size"] == [48, 48, 48]
    assert set(written["by_region"]) == set(written["missed"]) == set(written["regions"])


def test_every_picture_that_is_named_is_there_and_no_other(run: Path) -> None:
    written = read(run, "evaluation")
    named = {run / "evaluation" / item["file"] for item in written["pictures"]}
    assert named == set((run / "evaluation" / "pictures").iterdir())
    for file in named:
        with Image.open(file) as picture:
            assert picture.format == "PNG" and picture.width > 1.5 * picture.height
    reasons = [why for item in written["pictures"] for why in item["reasons"]]
    assert {"best", "median", "worst"} <= set(reasons)


def test_tiles_are_used_where_they_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[int] = set()
    segment = inference.segment

    def watching(network: Any, image: torch.Tensor, tile: int) -> torch.Tensor:
        seen.add(tile)
        return segment(network, image, tile)

    monkeypatch.setattr(evaluate, "segment", watching)
    monkeypatch.setattr(evaluate, "layer_tables", lambda *_: [])
    path = finished_run(tmp_path / "run")
    evaluate_run(path, EvaluationOptions(scales=[1.0], tile=32, device="cpu"))
    assert seen == {32}
    seen.clear()
    trained_on_patches = finished_run(tmp_path / "patches", patch=16)
    evaluate_run(trained_on_patches, EvaluationOptions(scales=[1.0], device="cpu"))
    assert seen == {16}


def test_a_run_that_is_not_finished_is_refused(tmp_path: Path) -> None:
    path = finished_run(tmp_path / "run")
    RunFolder(path).result_file.unlink()
    with pytest.raises(UserError, match=f"{path}: the training is not finished"):
        evaluate_run(path, QUICK)
    assert not (path / "evaluation").exists()


def test_a_failure_leaves_the_earlier_evaluation_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = finished_run(tmp_path / "run")
    evaluate_run(path, EvaluationOptions(scales=[1.0], device="cpu"))
    folder = path / "evaluation"
    before = {f: f.read_bytes() for f in folder.rglob("*") if f.is_file()}

    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(evaluate, "layer_tables", fail)
    with pytest.raises(RuntimeError):
        evaluate_run(path, QUICK)
    assert {f: f.read_bytes() for f in folder.rglob("*") if f.is_file()} == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scales": [0.0, 1.0]}, r"--scales \[0.0, 1.0\]: they should lie between"),
        ({"scales": [0.7, 0.9]}, "1 should be among them"),
        ({"scales": [0.7, 0.7, 1.0]}, "none twice"),
        ({"tile": 40}, "--tile 40: it should be a multiple of 16"),
        ({"tile": 0}, "--tile 0"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        EvaluationOptions(**options)
