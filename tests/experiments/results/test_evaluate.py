"""The evaluation of a run: right numbers, complete files, one clear message when it cannot be."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from PIL import Image

from experiments.command_line.options import Options
from experiments.common import inference
from experiments.common.errors import UserError
from experiments.data.transforms import prepare
from experiments.polyp import evaluate as polyp
from experiments.polyp.train import POLYP
from experiments.results import evaluation
from experiments.running.checkpoints import load_network
from experiments.running.run_folder import RunFolder
from experiments.tumour import evaluate as tumour
from experiments.tumour import scaling
from experiments.tumour.study import StudyOptions
from experiments.tumour.train import TUMOUR
from tests.experiments import polyp_runs, tumour_runs


@dataclass(frozen=True)
class Studied:
    """One of the studies, and how to make and evaluate a small run of it."""

    make: Callable[..., Path]
    evaluate: Callable[..., dict[str, Any]]
    quick: Options
    base: dict[str, Any]
    reference: str


STUDIES = {
    "polyp": Studied(
        polyp_runs.finished_run,
        polyp.evaluate_run,
        polyp.EvaluationOptions(angle_step=90, device="cpu"),
        polyp.BASE,
        "p4",
    ),
    "tumour": Studied(
        lambda path, **more: tumour_runs.finished_run(path, "scale_max", regions=["all"], **more),
        tumour.evaluate_run,
        tumour.EvaluationOptions(scales=[0.8, 1.0], device="cpu"),
        tumour.BASE,
        "scale_max",
    ),
}


@pytest.fixture(scope="module", autouse=True)
def small() -> Any:
    """Layers and cost are measured on small volumes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scaling, "_BLOBS", 16)
        patch.setattr(tumour, "_COSTED", (16, 16, 32))
        yield


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An evaluated run of each study."""
    made = {}
    for name, study in STUDIES.items():
        made[name] = study.make(tmp_path_factory.mktemp("runs") / name)
        study.evaluate(made[name], study.quick)
    return made


def read(run: Path) -> Any:
    return json.loads((run / "evaluation" / "evaluation.json").read_text())


def table(run: Path, **wanted: Any) -> pd.DataFrame:
    """The rows of a run with these values, as anybody would read them."""
    rows = pd.read_csv(run / "evaluation" / "results.csv")
    return rows[(rows[list(wanted)] == pd.Series(wanted)).all(axis=1)] if wanted else rows


def expected_dice(found: torch.Tensor, true: torch.Tensor) -> float:
    both, sizes = (found & true).sum().item(), found.sum().item() + true.sum().item()
    return 2 * both / sizes if sizes else 1.0


def test_scores_of_images_are_those_of_the_best_checkpoint(runs: dict[str, Path]) -> None:
    network, config = load_network(runs["polyp"])
    test = POLYP.open_data(config).dataset_for("test")
    rows = table(runs["polyp"], metric="dice", **polyp.BASE)
    assert len(test) == len(rows) == polyp_runs.TEST_IMAGES
    for index, (case, value) in enumerate(zip(rows["case"], rows["value"], strict=True)):
        item: Any = test[index]
        with torch.no_grad():
            found = network(item["image"][None])[0, 0] > 0
        assert case == item["name"]
        assert value == pytest.approx(expected_dice(found, item["mask"][0] > 0), abs=1e-5)
    assert read(runs["polyp"])["scores"]["dice"]["mean"] == pytest.approx(rows["value"].mean())


def test_scores_of_volumes_are_those_of_the_best_checkpoint(runs: dict[str, Path]) -> None:
    network, config = load_network(runs["tumour"])
    data = TUMOUR.open_data(config)
    test = data.dataset_for("test")
    values = table(runs["tumour"], metric="dice", **tumour.BASE).set_index(["case", "region"])
    assert len(values) == 3 * len(test) == 3 * tumour_runs.TEST_CASES
    for index in range(len(test)):
        item: Any = test[index]
        with torch.no_grad():
            found = network(item["image"][None])[0] > 0
        # Nothing that is found in the padding around the patient counts.
        edges = prepare(data.sample(item["name"]), spacing=data.voxel).values.shape[1:]
        padded = item["mask"].shape[1:]
        starts = [(there - here) // 2 for there, here in zip(padded, edges, strict=True)]
        place = (..., *(slice(a, a + n) for a, n in zip(starts, edges, strict=True)))
        for region, ours, theirs in zip(
            read(runs["tumour"])["regions"], found[place], item["mask"][place] > 0, strict=True
        ):
            assert values.loc[(item["name"], region), "value"] == pytest.approx(
                expected_dice(ours, theirs), abs=2e-3
            )
            assert values.loc[(item["name"], region), "present"] == bool(theirs.any())


@pytest.mark.parametrize(
    ("study", "protocol", "metrics", "at"),
    [
        ("polyp", "upright", {"dice", "iou", "precision", "recall", "found"}, {0}),
        ("polyp", "rotation", {"agreement", "control", "dice", "found"}, {0, 90, 180, 270}),
        (
            *("tumour", "resampled"),
            {"dice", "iou", "precision", "recall", "found", "soft_dice", "hausdorff_95"},
            {0.8, 1.0},
        ),
        ("tumour", "commutation", {"error", "floor", "agreement"}, {0.8, 1.0}),
        ("tumour", "layers", {"error", "own", "floor"}, {0.9, 0.81, 0.729}),
    ],
)
def test_the_table_has_a_value_for_everything_that_was_measured(
    runs: dict[str, Path], study: str, protocol: str, metrics: set[str], at: set[float]
) -> None:
    rows = table(runs[study], protocol=protocol)
    assert set(rows["metric"]) == metrics and set(rows["at"]) == at
    assert set(rows["run"]) == {study} and set(rows["network"]) == {STUDIES[study].reference}
    if protocol != "layers":
        assert not rows.duplicated(["case", "region", "at", "metric"]).any()
        assert len(rows) % (len(metrics) * len(at)) == 0


def test_the_p4_network_turns_its_masks_with_the_image(runs: dict[str, Path]) -> None:
    # Not 1: rounding may tip a pixel whose logit is nearly 0.
    assert not (table(runs["polyp"], metric="agreement")["value"] < 0.98).any()


@pytest.mark.parametrize("study", STUDIES)
def test_what_is_not_in_the_table_is_recorded_beside_it(runs: dict[str, Path], study: str) -> None:
    run, written = runs[study], read(runs[study])
    assert (written["study"], written["network"]) == (study, STUDIES[study].reference)
    assert written["options"] == STUDIES[study].quick.to_dict()
    assert written["environment"]["versions"]["torch"] == torch.__version__
    assert written["cost"]["parameters"] > 0 and written["cost"]["reference"] == "plain"
    results = (run / "evaluation" / "results.csv").read_bytes()
    assert written["results"] == hashlib.sha256(results).hexdigest()
    named = {run / "evaluation" / item["file"] for item in written["pictures"]}
    assert named == set((run / "evaluation" / "pictures").iterdir())
    for file in named:
        with Image.open(file) as picture:
            assert picture.format == "PNG" and picture.width > 1.5 * picture.height
    reasons = {why for item in written["pictures"] for why in item["reasons"]}
    assert {"best", "median", "worst"} <= reasons
    with Image.open(run / "evaluation" / written["frames"]["file"]) as sheet:
        assert sheet.width % written["frames"]["size"][0] == 0


@pytest.mark.parametrize("study", STUDIES)
def test_a_failure_leaves_the_earlier_evaluation_and_a_second_one_replaces_it(
    study: str, runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = runs[study] / "evaluation"
    stale = folder / "pictures" / "gone.png"
    stale.write_bytes(b"")
    before = {f: f.read_bytes() for f in folder.rglob("*") if f.is_file()}

    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(evaluation, "cost_of", fail)
        with pytest.raises(RuntimeError):
            STUDIES[study].evaluate(runs[study], STUDIES[study].quick)
    assert {f: f.read_bytes() for f in folder.rglob("*") if f.is_file()} == before
    STUDIES[study].evaluate(runs[study], STUDIES[study].quick)
    assert not stale.exists()
    assert (folder / "results.csv").read_bytes() == before[folder / "results.csv"]


def test_only_some_images_are_turned_when_asked(tmp_path: Path) -> None:
    path = polyp_runs.finished_run(tmp_path / "run")
    options = polyp.EvaluationOptions(angle_step=90, rotation_images=2, device="cpu")
    polyp.evaluate_run(path, options)
    counts = table(path, metric="dice").groupby("protocol")["case"].nunique()
    assert dict(counts) == {"rotation": 2, "upright": polyp_runs.TEST_IMAGES}


def test_tiles_are_used_where_they_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[int] = set()
    segment = inference.segment

    def watching(network: Any, image: torch.Tensor, tile: int) -> torch.Tensor:
        seen.add(tile)
        return segment(network, image, tile)

    monkeypatch.setattr(tumour, "segment", watching)
    path = tumour_runs.finished_run(tmp_path / "run")
    tumour.evaluate_run(path, tumour.EvaluationOptions(scales=[1.0], tile=32, device="cpu"))
    assert seen == {32}
    seen.clear()
    trained_on_patches = tumour_runs.finished_run(tmp_path / "patches", patch=16)
    tumour.evaluate_run(trained_on_patches, tumour.EvaluationOptions(scales=[1.0], device="cpu"))
    assert seen == {16}


@pytest.mark.parametrize("study", STUDIES)
def test_a_run_that_is_not_finished_or_none_at_all_is_refused(study: str, tmp_path: Path) -> None:
    path = STUDIES[study].make(tmp_path / "run")
    RunFolder(path).result_file.unlink()
    with pytest.raises(UserError, match=f"{path}: the training is not finished"):
        STUDIES[study].evaluate(path, STUDIES[study].quick)
    assert not (path / "evaluation").exists()
    with pytest.raises(UserError, match=f"{tmp_path}: not a run folder"):
        STUDIES[study].evaluate(tmp_path, STUDIES[study].quick)


def test_a_run_of_the_other_study_is_refused(runs: dict[str, Path]) -> None:
    with pytest.raises(UserError, match="a run of the study 'tumour'; give one of 'polyp'"):
        polyp.evaluate_run(runs["tumour"])
    with pytest.raises(UserError, match="a run of the study 'polyp'; give one of 'tumour'"):
        tumour.evaluate_run(runs["polyp"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda split: split | {"test": split["test"][1:]}, "the data gives other test samples"),
        (lambda _: {"kind": "random", "seed": 0}, "is no record of a split"),
    ],
)
def test_a_split_that_is_not_that_of_the_data_is_refused(
    change: Callable[[Any], Any], message: str, tmp_path: Path
) -> None:
    path = polyp_runs.finished_run(tmp_path / "run")
    split = json.loads((path / "split.json").read_text())
    (path / "split.json").write_text(json.dumps(change(split)))
    with pytest.raises(UserError, match=rf"split\.json: .*{message}"):
        polyp.evaluate_run(path, STUDIES["polyp"].quick)


@pytest.mark.parametrize(
    ("options", "values", "message"),
    [
        (polyp.EvaluationOptions, {"angle_step": 40.0}, "--angle_step: the step is 40"),
        (polyp.EvaluationOptions, {"angle_step": 1e-9}, r"makes 3\.6e\+11 angles; .* 0\.1°"),
        (polyp.EvaluationOptions, {"rotation_images": -1}, "--rotation_images -1"),
        (tumour.EvaluationOptions, {"scales": [0.0, 1.0]}, "1 and others between 0.1 and 10"),
        (tumour.EvaluationOptions, {"scales": [0.7, 0.9]}, "1 and others between"),
        (tumour.EvaluationOptions, {"scales": [0.7, 0.7, 1.0]}, "none twice"),
        (tumour.EvaluationOptions, {"tile": 40}, "--tile 40: must be a multiple of 16"),
        (tumour.EvaluationOptions, {"tile": 0}, "--tile 0"),
    ],
)
def test_options_out_of_range_are_refused(options: Any, values: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        options(**values)


def test_a_scale_that_does_not_fit_into_memory_is_refused_before_work_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tumour_runs.finished_run(tmp_path / "run")
    monkeypatch.setattr("os.sysconf", {"SC_PHYS_PAGES": 10**6, "SC_PAGE_SIZE": 100}.__getitem__)
    message = r"--scales 10: generated-\d+ would have 240x240x240 .* has 0 GB; 4\.\d would fit"
    with pytest.raises(UserError, match=message):
        tumour.evaluate_run(path, tumour.EvaluationOptions(scales=[1.0, 10.0], device="cpu"))
    with pytest.raises(UserError, match="--scales 10: generated"):
        StudyOptions(out=tmp_path / "study", size=24, scales=[1.0, 10.0])
    assert not (path / "evaluation").exists() and not (tmp_path / "study").exists()


def test_a_device_that_is_not_there_is_refused(runs: dict[str, Path]) -> None:
    with pytest.raises(UserError, match="--device quantum"):
        polyp.evaluate_run(runs["polyp"], polyp.EvaluationOptions(device="quantum"))


def rows(metric: str, values: dict[str, float]) -> pd.DataFrame:
    return pd.DataFrame({"case": values.keys(), "value": values.values()}).assign(
        metric=metric, present=True
    )


def test_pictures_are_of_the_best_the_median_the_worst_and_the_one_that_turns_worst() -> None:
    dice = rows("dice", {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.75, "e": 0.85})
    agreement = rows("agreement", {"a": 1.0, "b": 1.0, "c": 0.8, "d": 0.2, "e": 0.9})
    assert evaluation.choose_pictures(dice, agreement) == {
        "a": ["best"],
        "b": ["median"],
        "c": ["worst"],
        "d": ["least equivariant"],
    }


def test_outliers_are_pictured_and_what_is_absent_or_undefined_is_neither_best_nor_worst() -> None:
    scores = {f"fine {i}": 0.9 + 0.001 * i for i in range(8)} | {"bad": 0.1, "worse": 0.0}
    dice = pd.concat([rows("dice", scores), rows("dice", {"empty": 1.0}).assign(present=False)])
    agreement = rows(
        "agreement", dict.fromkeys(scores, 0.9) | {"worse": float("nan"), "fine 5": 0.5}
    )
    chosen = evaluation.choose_pictures(dice, agreement)
    assert chosen["worse"] == ["worst", "outlier"] and chosen["bad"] == ["outlier"]
    assert chosen["fine 5"] == ["least equivariant"] and chosen["fine 7"] == ["best"]
    assert "empty" not in chosen
    nothing = rows("dice", {"a": 1.0}).assign(present=False)
    assert evaluation.choose_pictures(nothing, agreement[:0]) == {"a": ["first"]}
