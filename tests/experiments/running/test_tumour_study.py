"""The tumour study: one command trains, evaluates and reports a grid, and resumes it."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from experiments.command_line.parser import Command, run_command_line
from experiments.command_line.typed import command
from experiments.common.errors import UserError
from experiments.running.run_folder import RunFolder
from experiments.tumour import evaluate, scaling
from experiments.tumour.__main__ import main
from experiments.tumour.study import StudyOptions

TINY = [
    *("--size", "24", "--count", "8", "--channels", "1", "2", "--window", "3"),
    *("--accelerator", "cpu", "--device", "cpu"),
]
STUDY = [
    *("study", *TINY, "--steps", "2", "--validations", "1", "--scales", "0.8", "1.0"),
    *("--networks", "plain_width", "scale_max", "--train_cases", "2", "--test_cases", "2"),
    *("--validation_cases", "2"),
]
NAMES = ["plain_width-2cases-none-seed0", "scale_max-2cases-none-seed0"]


@pytest.fixture(scope="module", autouse=True)
def small() -> Any:
    """Layers and cost are measured on small volumes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scaling, "_BLOBS", 16)
        patch.setattr(evaluate, "_COSTED", (16, 16, 32))
        yield


def test_the_study_trains_evaluates_and_reports_and_does_nothing_twice(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "study"
    assert main([*STUDY, "--out", str(out)]) == 0
    printed = capfd.readouterr()
    assert printed.err == ""
    assert [RunFolder(out / name).finished for name in NAMES] == [True, True]
    assert str(out / "report.html") in printed.out.replace("\n", "")
    assert "python -m experiments.tumour study" in (out / "report.html").read_text()

    times = {path: path.stat().st_mtime_ns for path in out.rglob("evaluation.json")}
    assert main([*STUDY, "--out", str(out)]) == 0
    assert capfd.readouterr().out.count("already trained") == 2
    assert {path: path.stat().st_mtime_ns for path in times} == times


def test_the_parts_of_the_study_can_be_typed_one_by_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, run, masks, page = (str(tmp_path / n) for n in ("data", "run", "masks", "page"))
    assert main(["generate", "--out", data, "--count", "4", "--size", "24"]) == 0
    words = ["--dataset", "brats", "--root", data, "--modalities", "flair", "t1ce"]
    train = ["train", "--network", "plain_width", *TINY[4:-2], *words, "--max_epochs", "1"]
    assert main([*train, "--out", run]) == 0
    assert main(["evaluate", "--run", run, "--scales", "1.0"]) == 0
    assert main(["report", "--runs", run, "--out", page]) == 0
    predict = ["predict", "--checkpoint", run, "--inputs", data, "--out", masks]
    assert main(predict) == 0
    assert main(predict) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main([*predict, "--overwrite", "--tile", "16"]) == 0
    assert len(list(Path(masks).glob("*_mask.nii.gz"))) == 4


def test_the_grid_is_every_network_on_all_cases_with_all_augmentation_and_seeds(
    tmp_path: Path,
) -> None:
    options = StudyOptions(
        out=tmp_path,
        networks=["plain", "scale_mean"],
        train_cases=[10, 25],
        augment=["none", "scale"],
        seeds=[3, 5],
    )
    trainings = options.trainings()
    made = {(t.network, t.train_cases, t.augment, t.seed) for t in trainings}
    assert len(trainings) == len(made) == len({t.out for t in trainings}) == 16
    assert {t.steps for t in trainings} == {options.steps}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"networks": ["scale_max"], "seeds": [1, 2], "channels": None, "regions": ["all"]},
        {"dataset": "brats", "root": Path("/a folder/BraTS"), "modalities": ["flair", "t1ce"]},
        {"train_cases": [10, 15, 25], "augment": ["none", "scale"], "scales": [0.7, 1.0]},
    ],
)
def test_the_command_of_a_study_gives_the_same_study(changes: dict[str, Any]) -> None:
    options = StudyOptions(out=Path("runs/a study"), **changes)
    understood: list[StudyOptions] = []
    typed = command("python -m experiments.tumour", "study", StudyOptions, vars(options))
    cook = Command("study", StudyOptions, understood.append)
    assert run_command_line("tumour", "", [cook], shlex.split(typed)[3:]) == 0
    assert understood == [options]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"networks": ["vgg"]}, "vgg: unknown"),
        ({"train_cases": [10, 10]}, "--train_cases 10 10: name at least one, and none twice"),
        ({"train_cases": [0]}, "--train_cases 0"),
        ({"augment": []}, "--augment"),
        ({"scales": [0.7]}, "--scales"),
    ],
)
def test_a_study_that_makes_no_sense_is_refused(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        StudyOptions(out=tmp_path, **changes)
