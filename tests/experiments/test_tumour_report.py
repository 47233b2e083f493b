"""The report of the tumour study: right numbers in one file, and sentences that follow from it."""

import json
import re
import shlex
import shutil
import statistics
from pathlib import Path
from typing import Any

import pytest

from experiments.common.comparison import EvaluatedRun
from experiments.common.errors import UserError
from experiments.common.repeat import commands
from experiments.tumour import evaluate, layers
from experiments.tumour.__main__ import main
from experiments.tumour.comparison import METRICS, Series, compare, load_runs
from experiments.tumour.evaluate import EvaluationOptions, evaluate_run
from experiments.tumour.findings import headline, sentences
from experiments.tumour.report import write_report
from experiments.tumour.sections import regions, training_cases
from experiments.tumour.train import TrainOptions
from tests.experiments.tumour_runs import TEST_CASES, finished_run

SCALES = [0.8, 1.0]
QUICK = EvaluationOptions(scales=SCALES, device="cpu")
GRID = {
    "scale-3-0": ("scale_mean", 3, 0),
    "scale-3-1": ("scale_mean", 3, 1),
    "scale-2-0": ("scale_mean", 2, 0),
    "plain-3-0": ("plain_width", 3, 0),
}


@pytest.fixture(scope="module", autouse=True)
def small() -> Any:
    """Layers and cost are measured on small volumes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layers, "_SIZE", 16)
        patch.setattr(evaluate, "_COSTED", (16, 16, 32))
        yield


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Evaluated runs: a scale network on two numbers of cases, once twice, and a plain one."""
    root = tmp_path_factory.mktemp("runs")
    made = [
        finished_run(root / name, network, seed, train_cases=cases, regions=["all"])
        for name, (network, cases, seed) in GRID.items()
    ]
    for run in made:
        evaluate_run(run, QUICK)
    return made


@pytest.fixture(scope="module")
def page(runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report on all of them."""
    return write_report(runs, tmp_path_factory.mktemp("report"))


@pytest.fixture
def copy(runs: list[Path], tmp_path: Path) -> Path:
    """A copy of an evaluated run, to spoil."""
    return Path(shutil.copytree(runs[0], tmp_path / "copy"))


def numbers(page: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(page.with_suffix(".json").read_text())
    return content


def measured(run: Path, name: str) -> Any:
    return json.loads((run / "evaluation" / f"{name}.json").read_text())


def test_the_page_needs_no_other_file_and_shows_every_section(page: Path) -> None:
    html = page.read_text()
    assert "<script" not in html and "@import" not in html and "url(" not in html
    links = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert links and all(link.startswith(("#", "data:")) for link in links)
    assert re.findall(r"<h2[^>]*>([^<]*)</h2>", html) == [
        "Training cases",
        "Scale",
        "Regions",
        "Equivariance",
        "Accuracy",
        "Networks",
        "Pictures",
        "How to repeat it",
    ]
    assert all(re.search(r'alt="[^"]{20,}"', image) for image in re.findall(r"<img [^>]*>", html))


def test_runs_are_grouped_by_network_and_cases_and_seeds_are_averaged(
    page: Path, runs: list[Path]
) -> None:
    few, many, plain = numbers(page)["networks"]
    labels = [network["label"] for network in (few, many, plain)]
    assert labels == ["scale_mean, 2 cases", "scale_mean, 3 cases", "plain_width"]
    assert [len(network["runs"]) for network in (few, many, plain)] == [1, 2, 1]
    for protocol in ("resampled", "spacing"):
        for metric in METRICS:
            for index in range(len(SCALES)):
                means = [
                    statistics.fmean(
                        measured(run, "scales")["protocols"][protocol]["values"][metric]["core"][
                            index
                        ]
                    )
                    for run in runs[:2]
                ]
                point = many["curves"][protocol][metric]["core"][index]
                assert point["mean"] == pytest.approx(statistics.fmean(means))
                assert point["std"] == pytest.approx(statistics.stdev(means))
    assert plain["curves"]["resampled"]["dice"]["mean"][0]["std"] is None
    assert many["boxes"]["dice"]["count"] == 2 * TEST_CASES


def test_the_figures_of_the_tables_are_those_of_the_json(page: Path) -> None:
    html = page.read_text()
    for network in numbers(page)["networks"]:
        for metric, digits in (("dice", 3), ("soft_dice", 3), ("hausdorff_95", 1)):
            for point in network["curves"]["spacing"][metric]["mean"]:
                shown = f"{point['mean']:.{digits}f}"
                shown += "" if point["std"] is None else f" ± {point['std']:.{digits}f}"
                assert f"<td>{shown}</td>" in html


def test_layers_are_means_over_the_runs(page: Path, runs: list[Path]) -> None:
    many = numbers(page)["networks"][1]
    rows = [measured(run, "layers")["elements"][1]["rows"] for run in runs[:2]]
    for layer, *both in zip(many["layers"], *rows, strict=True):
        assert layer["name"] == both[0]["name"]
        assert layer["error"][1] == pytest.approx((both[0]["error"] + both[1]["error"]) / 2)


def test_one_number_of_cases_and_one_region_need_no_section(runs: list[Path]) -> None:
    series = compare(load_runs([runs[0], runs[3]]))
    assert training_cases(series) == []
    assert len(regions(series)) == 1


def test_the_commands_are_those_of_the_command_line(copy: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    loaded = load_runs([copy])
    typed = commands("tumour", TrainOptions, EvaluationOptions, loaded, again).splitlines()
    assert [main(shlex.split(line)[3:]) for line in typed] == [0, 0, 0]
    assert (again / "report.html").exists()


def test_an_evaluation_of_other_scales_or_data_does_not_compare(
    copy: Path, runs: list[Path], tmp_path: Path
) -> None:
    for name, change, message in (
        ("scales", lambda c: c.update(scales=[0.7, 1.0]), r"test scales is \[0\.7, 1\.0\]"),
        ("evaluation", lambda c: c["config"].update(spacing=1.0), "the spacing is 1.0, not 2.0"),
    ):
        content = measured(copy, name)
        before = json.dumps(content)
        change(content)
        file = copy / "evaluation" / f"{name}.json"
        file.write_text(json.dumps(content))
        with pytest.raises(UserError, match=message):
            write_report([runs[1], copy], tmp_path / "out")
        file.write_text(before)
    (copy / "evaluation" / "layers.json").unlink()
    with pytest.raises(UserError, match=r"layers\.json is missing"):
        write_report([copy], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def series(label: str, cases: dict[int, list[float]]) -> Series:
    """A network with the mean Dice given at scales 0.5 and 1, by the number of training cases."""

    def statistics_of(value: float) -> dict[str, float]:
        return {"mean": value}

    runs = []
    for count, dice in cases.items():
        by_scale = {"mean": [statistics_of(value) for value in dice]}
        metrics = dict.fromkeys(METRICS, by_scale)
        protocol = {"statistics": metrics, "missed": {"whole": [2, 0]}}
        scales = {
            "scales": [0.5, 1.0],
            "regions": ["whole"],
            "images": ["a", "b", "c", "d"],
            "protocols": {"resampled": protocol, "spacing": protocol},
            "equivariance": {
                "statistics": {
                    "error": [statistics_of(0.3), statistics_of(0.0)],
                    "floor": [statistics_of(0.01), statistics_of(0.0)],
                }
            },
        }
        evaluation = {
            "config": {"network": label, "train_cases": count},
            "split": {"train": count},
        }
        runs.append(EvaluatedRun(Path(label), evaluation, {"scales": scales}))
    return Series(label, runs)


def test_the_headline_says_how_dice_changes_with_scale_on_the_most_cases() -> None:
    told = headline(
        [series("scale", {10: [0.1, 0.2], 25: [0.7, 0.8]}), series("plain", {25: [0.4, 0.85]})]
    )
    assert told.startswith("Trained on 25 cases: from scale 1 to 0.5")
    assert "0.800 → 0.700 (scale) and 0.850 → 0.400 (plain)" in told
    assert "The best change is -0.100 (scale), the worst -0.450 (plain)." in told
    assert "best" not in headline([series("scale", {25: [0.7, 0.8]})])


def test_the_other_findings_give_the_figures_of_every_network() -> None:
    told = "\n".join(sentences([series("scale", {10: [0.5, 0.6], 25: [0.7, 0.8]})]))
    assert "coarser by 1/0.5" in told and "0.700 (scale)" in told
    assert "Dice at scale 1 by the number of training cases: 0.600 → 0.800 with 10, 25" in told
    assert "differs by 0.300 (scale); interpolation alone accounts for 0.010 at most" in told
    assert "At scale 0.5 nothing was found of a region that is there in 2 of 4 (scale)" in told
    assert "At scale 1 nothing was found" not in told
    assert "trained once only" in told
