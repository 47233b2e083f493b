"""The report: right numbers, one file, readable in a browser, one clear message when not."""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from experiments.common.comparison import EvaluatedRun
from experiments.common.errors import UserError
from experiments.common.findings import fixed
from experiments.common.repeat import commands
from experiments.polyp.__main__ import main
from experiments.polyp.comparison import Comparand, compare, load_runs
from experiments.polyp.evaluate import EvaluationOptions, evaluate_run
from experiments.polyp.findings import headline, sentences
from experiments.polyp.report import write_report
from experiments.polyp.train import TrainOptions
from tests.experiments.polyp_runs import TEST_IMAGES, finished_run

TITLES = ("Equivariance", "Accuracy", "Networks", "Pictures", "How to repeat it")
CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Evaluated runs: the plain network, and the p4 network with two seeds."""
    root = tmp_path_factory.mktemp("runs")
    made = [
        finished_run(root / "plain", "plain"),
        finished_run(root / "p4-0", "p4"),
        finished_run(root / "p4-1", "p4", seed=1),
    ]
    for run in made:
        evaluate_run(run, EvaluationOptions(angle_step=45, device="cpu"))
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


def test_the_page_needs_no_other_file_and_no_script(page: Path) -> None:
    html = page.read_text()
    assert "<script" not in html and "@import" not in html and "url(" not in html
    links = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert links and all(link.startswith(("#", "data:")) for link in links)


def test_every_picture_says_in_words_what_it_shows(page: Path) -> None:
    images = re.findall(r"<img [^>]*>", page.read_text())
    assert len(images) >= 4 + 3
    assert all(re.search(r'alt="[^"]{20,}"', image) for image in images)


def test_runs_that_differ_in_the_seed_are_one_network(page: Path, runs: list[Path]) -> None:
    plain, p4 = numbers(page)["networks"]
    assert (plain["label"], p4["label"]) == ("plain", "p4")
    means = [
        json.loads((run / "evaluation" / "evaluation.json").read_text())["scores"]["dice"]["mean"]
        for run in runs[1:]
    ]
    assert p4["score"]["dice"]["mean"] == pytest.approx(sum(means) / 2)
    assert p4["score"]["dice"]["std"] == pytest.approx(abs(means[0] - means[1]) / 2**0.5)
    assert p4["boxes"]["dice"]["count"] == 2 * TEST_IMAGES
    assert plain["score"]["dice"]["std"] is None


def test_the_numbers_of_the_table_are_those_of_the_json(page: Path) -> None:
    html = page.read_text()
    for network in numbers(page)["networks"]:
        score = network["score"]["dice"]
        shown = fixed(score["mean"])
        shown += "" if score["std"] is None else f" ± {score['std']:.3f}"
        assert f"<td>{shown}</td>" in html
        assert f"<td>{network['cost'][0]['parameters']:,}</td>" in html


def test_curves_close_the_circle(page: Path) -> None:
    content = numbers(page)
    assert content["angles"] == [0, 45, 90, 135, 180, 225, 270, 315, 360]
    for network in content["networks"]:
        for curve in network["curves"].values():
            assert len(curve) == len(content["angles"]) and curve[0] == curve[-1]


def typed_for(runs: list[Path], out: Path) -> list[str]:
    return commands("polyp", TrainOptions, EvaluationOptions, load_runs(runs), out).splitlines()


def test_the_commands_repeat_every_run_with_its_options(runs: list[Path]) -> None:
    typed = typed_for(runs, Path("my report"))
    assert len(typed) == 2 * len(runs) + 1
    assert typed[0].startswith(f"python -m experiments.polyp train --out {runs[0]} ")
    assert "--network plain" in typed[0] and "--channels 2 4" in typed[0]
    assert typed[1] == (
        f"python -m experiments.polyp evaluate --run {runs[0]} --angle_step 45 --device cpu"
    )
    assert "--seed 1" in typed[4]
    assert typed[-1].endswith(f"{runs[1]} {runs[2]} --out 'my report'")


def test_the_commands_are_those_of_the_command_line(copy: Path, tmp_path: Path) -> None:
    typed = typed_for([copy], tmp_path / "again")
    assert [main(shlex.split(line)[3:]) for line in typed] == [0, 0, 0]
    assert (tmp_path / "again" / "report.html").exists()


def test_the_command_that_was_given_is_shown(runs: list[Path], tmp_path: Path) -> None:
    page = write_report(runs[:1], tmp_path, "python -m experiments.polyp study --out x")
    assert "polyp study --out x</code>" in page.read_text()
    assert numbers(page)["command"] == "python -m experiments.polyp study --out x"


def test_networks_of_the_same_name_are_told_apart_by_what_differs(runs: list[Path]) -> None:
    first, *_ = load_runs(runs)
    config = first.evaluation["config"] | {"augment": "rotate"}
    other = replace(first, evaluation={**first.evaluation, "config": config})
    labels = [network.label for network in compare([first, other])]
    assert labels == ["plain, augment none", "plain, augment rotate"]


def spoil(file: str, change: Callable[[Any], None]) -> Callable[[Path], None]:
    def apply(run: Path) -> None:
        path = run / "evaluation" / file
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return apply


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda run: shutil.rmtree(run / "evaluation"), "not evaluated"),
        (lambda run: (run / "evaluation" / "rotation.json").unlink(), r"rotation\.json is missing"),
        (lambda run: (run / "evaluation" / "evaluation.json").write_text("{"), "not a JSON file"),
        (spoil("rotation.json", lambda c: c.update(of="earlier")), "the evaluation is incomplete"),
        (lambda run: shutil.rmtree(run / "evaluation" / "pictures"), "picture .* cannot be read"),
    ],
)
def test_a_missing_or_half_evaluation_is_named(
    copy: Path, tmp_path: Path, fault: Callable[[Path], None], message: str
) -> None:
    fault(copy)
    with pytest.raises(UserError, match=message) as error:
        write_report([copy], tmp_path / "out")
    assert str(copy) in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (spoil("evaluation.json", lambda c: c["config"].update(size=64)), "the size is 64, not 32"),
        (spoil("rotation.json", lambda c: c.update(angles=[0, 90])), "angles of the rotation"),
    ],
)
def test_runs_that_do_not_compare_are_refused(
    copy: Path, runs: list[Path], tmp_path: Path, fault: Callable[[Path], None], message: str
) -> None:
    fault(copy)
    with pytest.raises(UserError, match=message) as error:
        write_report([runs[1], copy], tmp_path / "out")
    assert str(copy) in str(error.value) and str(runs[1]) in str(error.value)


def test_no_runs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no runs to report"):
        write_report([], tmp_path)


def comparand(label: str, at_90: list[float], between: list[float], dice: float) -> Comparand:
    """A network with the agreements given, at 90 and 45 degrees."""
    names = [f"image {index}" for index in range(len(at_90))]
    perfect = [1.0] * len(at_90)
    truth = [dice] * len(at_90)
    values = {
        "agreement": [perfect, between, at_90],
        "control": [perfect, [0.95] * len(at_90), perfect],
        "truth": [truth, truth, truth],
    }
    evaluation = {
        "images": [{"name": name, "dice": dice, "iou": dice / 2} for name in names],
        "scores": {"dice": {"mean": dice}, "iou": {"mean": dice / 2}},
        "empty_predictions": 0,
    }
    rotation = {"angles": [0, 45, 90], "values": values}
    return Comparand(label, [EvaluatedRun(Path(label), evaluation, {"rotation": rotation})])


def test_the_headline_says_who_is_exact_and_who_is_not() -> None:
    exact = comparand("p4", [1.0, 1.0], [0.9, 0.9], 0.8)
    other = comparand("plain", [0.5, 0.9], [0.4, 0.8], 0.8)
    told = headline([other, exact])
    assert told.startswith("p4: turning the image by 90°, 180° or 270° turns the mask exactly")
    assert "plain 0.700 on average, 0.500 for the worst image" in told
    assert headline([other]).startswith("Turning the image by 90°, 180° or 270° changes the masks")
    assert "other network" not in headline([exact])


def test_a_single_pixel_of_difference_is_not_called_exact() -> None:
    told = headline([comparand("nearly", [1.0, 0.9998], [0.9, 0.9], 0.8)])
    assert "but for single pixels that rounding tips" in told
    assert "exactly" not in told and "1.000" not in told


def test_the_other_findings_give_the_figures_of_every_network() -> None:
    told = sentences([comparand("p4", [1.0, 1.0], [0.9, 0.94], 0.8)])
    assert "0.920 (p4); the control of interpolation is 0.950" in told[0]
    assert "0.800 → 0.800 (p4)" in told[1]
    assert "mean Dice is 0.800 (p4)" in told[2]


def chromium(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    assert CHROMIUM is not None
    return subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--enable-logging=stderr",
            *arguments,
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_shows_every_section_and_picture_without_complaint(
    page: Path, tmp_path: Path
) -> None:
    # The page itself runs no script: a copy gets one that says what the browser made of it.
    probe = """<script>addEventListener("load", () => {
        const images = [...document.images];
        document.title = JSON.stringify({
            images: images.length,
            shown: images.filter(i => i.complete && i.naturalWidth > 0 && i.clientWidth > 0).length,
            overflow: document.documentElement.scrollWidth > innerWidth,
        });
    });</script></body>"""
    probed = tmp_path / "probed.html"
    probed.write_text(page.read_text().replace("</body>", probe))
    done = chromium(tmp_path, "--window-size=1100,900", "--dump-dom", f"file://{probed}")
    titles = re.findall(r"<h2>([^<]*)</h2>", done.stdout)
    assert tuple(titles) == TITLES
    match = re.search(r"<title>(\{.*?\})</title>", done.stdout)
    assert match is not None, "the probe did not run"
    seen = json.loads(match.group(1))
    assert seen["shown"] == seen["images"] == page.read_text().count("<img ")
    assert not seen["overflow"]
    assert "CONSOLE" not in done.stderr


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_the_page_fits_a_narrow_screen(page: Path, tmp_path: Path) -> None:
    probe = (
        '<script>addEventListener("load", () => { document.title = "width " + '
        "document.querySelector('iframe').contentDocument.documentElement.scrollWidth })</script>"
    )
    # A headless window is at least 500 pixels wide, so a frame plays the telephone.
    frame = tmp_path / "frame.html"
    (tmp_path / "report.html").write_text(page.read_text())
    frame.write_text(f'<iframe src="report.html" width="390" height="700"></iframe>{probe}')
    done = chromium(tmp_path, "--allow-file-access-from-files", "--dump-dom", f"file://{frame}")
    match = re.search(r"<title>width (\d+)</title>", done.stdout)
    assert match is not None, "the probe did not run"
    assert int(match.group(1)) <= 390


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_screenshot_is_not_blank(page: Path, tmp_path: Path) -> None:
    shot = tmp_path / "shot.png"
    chromium(tmp_path, "--window-size=1100,1600", f"--screenshot={shot}", f"file://{page}")
    with Image.open(shot) as picture:
        colours = picture.convert("RGB").resize((110, 160)).getcolors(maxcolors=110 * 160)
    assert colours is not None and len(colours) > 100
