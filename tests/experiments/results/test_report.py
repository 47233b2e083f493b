"""The reports: right numbers in one file, readable and movable in a browser, clear when not."""

import hashlib
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image, ImageChops

from experiments.common.errors import UserError
from experiments.polyp import __main__ as polyp_commands
from experiments.polyp import report as polyp
from experiments.polyp.evaluate import EvaluationOptions as PolypOptions
from experiments.polyp.evaluate import evaluate_run as evaluate_polyp
from experiments.results.report import findings
from experiments.results.runs import Comparison, EvaluatedRun, Network, load_runs
from experiments.results.study import StudyReport
from experiments.results.words import fixed, p_value, plural, with_interval
from experiments.tumour import __main__ as tumour_commands
from experiments.tumour import evaluate, scaling
from experiments.tumour import report as tumour
from experiments.tumour.evaluate import EvaluationOptions as TumourOptions
from experiments.tumour.evaluate import evaluate_run as evaluate_tumour
from scripts import pictures
from tests.experiments import polyp_runs, tumour_runs

REPORTS = {"polyp": polyp, "tumour": tumour}
MAIN = {"polyp": polyp_commands.main, "tumour": tumour_commands.main}
TITLES = {
    "polyp": ["Rotation"],
    "tumour": ["Training cases", "Scale", "Regions"],
}
LAST = ["Equivariance", "Accuracy", "Differences", "Networks", "Pictures", "How to repeat it"]
GRID = {"scale-0": ("scale_mean", 3, 0), "scale-1": ("scale_mean", 3, 1)}
GRID |= {"few": ("scale_mean", 2, 0), "plain": ("plain_width", 3, 0)}
CHROMIUM = shutil.which("chromium")
browser = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
both = pytest.mark.parametrize("study", REPORTS)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Evaluated runs of both studies, one network of each with two seeds."""
    root = tmp_path_factory.mktemp("runs")
    images = [
        polyp_runs.finished_run(root / "polyp" / "plain", "plain"),
        polyp_runs.finished_run(root / "polyp" / "p4-0", "p4"),
        polyp_runs.finished_run(root / "polyp" / "p4-1", "p4", seed=1),
    ]
    volumes = [
        tumour_runs.finished_run(root / name, network, seed, train_cases=cases, regions=["all"])
        for name, (network, cases, seed) in GRID.items()
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scaling, "_BLOBS", 16)
        patch.setattr(evaluate, "_COSTED", (16, 16, 32))
        for run in images:
            evaluate_polyp(run, PolypOptions(angle_step=45, device="cpu"))
        for run in volumes:
            evaluate_tumour(run, TumourOptions(scales=[0.8, 1.0], device="cpu"))
    return {"polyp": images, "tumour": volumes}


@pytest.fixture(scope="module")
def pages(runs: dict[str, list[Path]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The reports on all of them."""
    out = tmp_path_factory.mktemp("report")
    return {name: REPORTS[name].write_report(runs[name], out / name) for name in REPORTS}


@pytest.fixture
def copy(runs: dict[str, list[Path]], tmp_path: Path) -> Path:
    """A copy of an evaluated run, to spoil."""
    return Path(shutil.copytree(runs["polyp"][0], tmp_path / "copy"))


@both
def test_the_page_needs_no_other_file_and_shows_every_section(
    study: str, pages: dict[str, Path]
) -> None:
    html = pages[study].read_text()
    assert html.count("<script") == 1
    assert not any(word in html for word in ("@import", "url(", "http-equiv", "fetch("))
    links = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert links and all(link.startswith(("#", "data:")) for link in links)
    titles = re.findall(r"<h2[^>]*>([^<]*)</h2>", html)
    assert titles == ["Look for yourself", *TITLES[study], *LAST]
    images = re.findall(r"<img [^>]*>", html)
    assert len(images) >= 4 + 3
    assert all(re.search(r'alt="[^"]{20,}"', image) for image in images)


def test_the_report_of_the_scale_study_speaks_of_no_organ(pages: dict[str, Path]) -> None:
    shown = re.sub(r"<pre.*?</pre>|base64,[^\"]*", "", pages["tumour"].read_text(), flags=re.DOTALL)
    assert "<h1>Scale study of generated data</h1>" in shown
    assert not re.search("tumour|tumor|brain|glioma", shown, re.IGNORECASE)


@both
def test_one_table_beside_the_page_holds_all_that_it_shows(
    study: str, pages: dict[str, Path], runs: dict[str, list[Path]]
) -> None:
    table = pd.read_csv(pages[study].with_name("results.csv"))
    assert set(table["run"]) == {run.name for run in runs[study]}
    summary = json.loads(pages[study].with_suffix(".json").read_text())
    assert summary["results"] == "results.csv"
    assert set(table["network"]) == {network["label"] for network in summary["networks"]}
    html = pages[study].read_text()
    base, present = REPORTS[study].STUDY.base, table["present"]
    rows = table[present & (table["protocol"] == base["protocol"]) & (table["at"] == base["at"])]
    dice = rows[rows["metric"] == "dice"]
    for label, values in dice.groupby("network"):
        mean = values.groupby(["run", "case"])["value"].mean().mean()
        assert re.search(rf"{label}</th>.*?<td>{fixed(mean)} \[", html)


def test_runs_that_differ_in_the_seed_are_one_network_and_counts_of_cases_a_series(
    runs: dict[str, list[Path]],
) -> None:
    c = load_runs(runs["tumour"], tumour.STUDY)
    assert c.labels == ["scale_mean, 2 cases", "scale_mean, 3 cases", "plain_width"]
    assert [len(network.runs) for network in c.networks] == [1, 2, 1]
    assert [network.series for network in c.networks[:2]] == ["scale_mean", "scale_mean"]
    assert c.fullest == ["scale_mean, 3 cases", "plain_width"]


def test_one_number_of_cases_needs_no_section(runs: dict[str, list[Path]], tmp_path: Path) -> None:
    page = tumour.write_report([runs["tumour"][0], runs["tumour"][3]], tmp_path)
    assert "Training cases" not in page.read_text()


@both
def test_the_commands_are_those_of_the_command_line(
    study: str, runs: dict[str, list[Path]], tmp_path: Path
) -> None:
    again = Path(shutil.copytree(runs[study][0], tmp_path / "copy"))
    page = REPORTS[study].write_report([again], tmp_path / "my report")
    typed = json.loads(page.with_suffix(".json").read_text())["command"].splitlines()
    assert len(typed) == 3 and typed[2].endswith(f"{again} --out '{tmp_path / 'my report'}'")
    assert [MAIN[study](shlex.split(line)[3:]) for line in typed] == [0, 0, 0]


def test_the_command_that_was_given_is_shown(runs: dict[str, list[Path]], tmp_path: Path) -> None:
    page = polyp.write_report(runs["polyp"][:1], tmp_path, "python -m experiments.polyp study")
    assert "python -m experiments.polyp study</code>" in page.read_text()


@pytest.mark.parametrize(
    ("picture", "study"), [("turned", "polyp"), ("curves", "polyp"), ("layers", "tumour")]
)
def test_the_pictures_of_the_documentation_are_drawn_from_the_same_results(
    picture: str,
    study: str,
    runs: dict[str, list[Path]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "picture.png"
    monkeypatch.setattr("sys.argv", ["", picture, *map(str, runs[study]), "--out", str(out)])
    pictures.main()
    with Image.open(out) as drawn:
        assert drawn.format == "PNG" and drawn.width > 2 * drawn.height


def spoil(change: Callable[[Any], None]) -> Callable[[Path], None]:
    def apply(run: Path) -> None:
        path = run / "evaluation" / "evaluation.json"
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return apply


def turn_less(run: Path) -> None:
    """As if it had been evaluated at fewer angles."""
    file = run / "evaluation" / "results.csv"
    table = pd.read_csv(file)
    table[table["at"] % 90 == 0].to_csv(file, index=False)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    spoil(lambda content: content.update(results=digest))(run)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda run: shutil.rmtree(run / "evaluation"), "not evaluated"),
        (lambda run: (run / "evaluation" / "results.csv").unlink(), r"results\.csv is missing"),
        (lambda run: (run / "evaluation" / "evaluation.json").write_text("{"), "not a JSON file"),
        (spoil(lambda c: c.pop("results")), "the evaluation is incomplete"),
        (lambda run: shutil.rmtree(run / "evaluation" / "pictures"), "picture .* cannot be read"),
        (spoil(lambda c: c["config"].update(size=64)), "the size is 64, not 32"),
        (spoil(lambda c: c["settings"].update(corners="keep")), "setting corners is 'keep'"),
        (turn_less, r"the list of tests by rotation is \[0\.0, 90\.0, 180\.0, 270\.0\], not"),
        (
            spoil(lambda c: c.update(study="tumour")),
            "a run of the study 'tumour'; give one of 'polyp'",
        ),
    ],
)
def test_what_is_incomplete_or_does_not_compare_is_named(
    copy: Path,
    runs: dict[str, list[Path]],
    tmp_path: Path,
    fault: Callable[[Path], None],
    message: str,
) -> None:
    fault(copy)
    with pytest.raises(UserError, match=message) as error:
        polyp.write_report([runs["polyp"][1], copy], tmp_path / "out")
    assert str(copy) in str(error.value)
    assert not (tmp_path / "out").exists()


def test_no_runs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no runs to report"):
        polyp.write_report([], tmp_path)


def compared(study: StudyReport, rows: Sequence[tuple[Any, ...]]) -> Comparison:
    """Networks from rows (network, case, present, protocol, at, metric, value)."""
    columns = ["network", "case", "present", "protocol", "at", "metric", "value"]
    table = pd.DataFrame(rows, columns=columns).assign(run="0", seed=0, region="spot")
    run = EvaluatedRun(Path("run"), {}, table)
    networks = [Network(n, n, 25, [run]) for n in table["network"].unique()]
    return Comparison(study, networks, table)


def turned(label: str, at_90: list[float], between: list[float]) -> list[tuple[Any, ...]]:
    """A network with the agreements given at 90 and 45 degrees, and Dice 0.8."""
    agreement = {0: [1.0] * len(at_90), 90: at_90, 45: between}
    rows: list[tuple[Any, ...]] = []
    for case in range(len(at_90)):
        for at, values in agreement.items():
            for metric, value in (("agreement", values[case]), ("control", 0.95), ("dice", 0.8)):
                rows.append((label, case, True, "rotation", at, metric, value))
        rows.append((label, case, True, "upright", 0, "dice", 0.8))
    return rows


def test_the_headline_says_who_is_exact_and_who_is_not() -> None:
    exact, other = turned("p4", [1.0, 1.0], [0.9, 0.9]), turned("plain", [0.5, 0.9], [0.4, 0.8])
    told = polyp.headline(compared(polyp.STUDY, [*other, *exact]))
    assert "the masks of p4 (1.000, 1.000 at worst) turn exactly with every test image" in told
    assert "plain (0.700, 0.500 at worst) change when the image is turned" in told
    alone = polyp.headline(compared(polyp.STUDY, other))
    assert alone.startswith(
        "By 90°, 180° or 270°, the masks of plain (0.700, 0.500 at worst) change"
    )


def test_a_single_pixel_of_difference_is_not_called_exact() -> None:
    nearly = compared(polyp.STUDY, turned("nearly", [1.0, 0.9998], [0.9, 0.9]))
    told = polyp.headline(nearly)
    assert "but for single pixels that rounding tips" in told
    assert "exactly" not in told and "1.000" not in told


def test_the_other_findings_give_the_figures_of_every_network() -> None:
    told = "\n".join(findings(compared(polyp.STUDY, turned("p4", [1.0, 1.0], [0.9, 0.94]))))
    assert "Dice at 0°: 0.800 [0.800, 0.800] (p4)." in told
    assert "at other angles: 0.920 (p4); interpolation alone gives 0.950." in told
    assert "trained only once" in told


def scaled(label: str, dice: list[float], found: list[float]) -> list[tuple[Any, ...]]:
    """A network with the Dice and pixels found at scale 0.5 in cases of which the last is empty."""
    rows: list[tuple[Any, ...]] = []
    for case, (value, pixels) in enumerate(zip(dice, found, strict=True)):
        there = case < len(dice) - 1
        for protocol in ("resampled", "spacing"):
            for at, factor in ((1.0, 1), (0.5, 0.5)):
                rows.append((label, case, there, protocol, at, "dice", value * factor))
                rows.append((label, case, there, protocol, at, "found", 9 if at == 1 else pixels))
        rows += [(label, case, True, "commutation", at, "error", 0.3) for at in (1.0, 0.5)]
        rows += [(label, case, True, "commutation", at, "floor", 0.01) for at in (1.0, 0.5)]
    return rows


def test_findings_count_only_the_regions_that_are_there() -> None:
    rows = scaled("scale", [0.6, 0.8, 0.7, 1.0], [0, 5, 0, 3]) + scaled("plain", [0.2] * 4, [5] * 4)
    told = findings(compared(tumour.STUDY, rows))
    assert told[0].startswith("Trained on 25 cases, mean Dice at scale 1 → scale 0.5: ")
    assert "0.700 → 0.350 (scale) and 0.200 → 0.100 (plain)" in told[0]
    text = "\n".join(told)
    assert (
        "nothing was found of a region that is there in 2 of 3 (scale) and 0 of 3 (plain)" in text
    )
    assert "something was found of a region that is absent in 1 of 1 (scale)" in text
    assert "At scale 0.5, scale less plain: +0.250 [" in text and "(p = 0.500, 3 cases)" in text
    assert "At scale 1 nothing was found" not in text


def test_figures_in_words() -> None:
    assert [fixed(v) for v in (0.99999, 1.0, float("nan"))] == ["0.999", "1.000", "–"]
    assert [p_value(v) for v in (0.0001, 0.03)] == ["p < 0.001", "p = 0.030"]
    assert [plural(n, "mask") for n in (1, 1000)] == ["1 mask", "1,000 masks"]


def test_a_single_case_has_no_interval_in_the_table() -> None:
    c = compared(polyp.STUDY, turned("p4", [1.0], [0.9]))
    assert with_interval(c.score("p4", "dice", **polyp.STUDY.base)) == "0.800"


def chromium(tmp_path: Path, page: str, *arguments: str) -> str:
    """What a browser has made of a page, and what it complained about."""
    assert CHROMIUM is not None
    flags = ["headless", "no-sandbox", "disable-gpu", "no-first-run", "enable-logging=stderr"]
    flags += ["disable-background-networking", "disable-component-update", "disable-sync"]
    file = tmp_path / "page.html"
    file.write_text(page)
    done = subprocess.run(
        [
            CHROMIUM,
            *(f"--{flag}" for flag in flags),
            f"--user-data-dir={tmp_path / 'profile'}",
            "--allow-file-access-from-files",
            *arguments,
            f"file://{file}",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "CONSOLE" not in done.stderr
    return done.stdout


def probed(tmp_path: Path, page: str, script: str, *arguments: str) -> Any:
    """What a script added to the page says in its title when all is loaded."""
    said = f"document.title = JSON.stringify((() => {{{script}}})())"
    probe = f'<script>addEventListener("load", () => {{ {said} }})</script>'
    dom = chromium(tmp_path, page.replace("</body>", f"{probe}</body>"), "--dump-dom", *arguments)
    match = re.search(r"<title>(.*?)</title>", dom)
    assert match is not None
    return json.loads(match.group(1))


MOVE = """
    const sliders = [...document.querySelectorAll(".movable input")];
    const seen = () => [...document.querySelectorAll(".movable figure")].map(figure => {
        const image = figure.querySelector("img");
        return [image.style.objectPosition, image.alt, figure.querySelector("span").textContent];
    });
    const move = (slider, steps) => {
        slider.stepUp(steps);
        slider.dispatchEvent(new Event("input"));
    };
"""


@browser
@both
def test_moving_the_slider_moves_the_frames_of_every_network(
    study: str, pages: dict[str, Path], tmp_path: Path
) -> None:
    script = (
        MOVE
        + """
        const before = seen();
        move(sliders[0], 1);
        const one = seen(), said = sliders[0].nextElementSibling.textContent;
        move(sliders.at(-1), 2);
        return [before, one, seen(), said, sliders.map(s => s.labels.length && s.ariaValueText)];
    """
    )
    before, one, two, said, labelled = probed(tmp_path, pages[study].read_text(), script)
    assert len(before) == {"polyp": 2, "tumour": 3}[study]
    for first, second, third in zip(before, one, two, strict=True):
        assert len({state[0] for state in (first, second, third)}) == 3
        assert all(state[2] and state[2] in state[1] for state in (first, second, third))
    assert said == {"polyp": "45°", "tumour": "0.8"}[study] and said.strip("°") in one[0][1]
    assert all(labelled)


@browser
def test_what_is_seen_changes_when_the_slider_is_moved(
    pages: dict[str, Path], tmp_path: Path
) -> None:
    html = pages["polyp"].read_text()
    seen = []
    for index, moved in enumerate(("", MOVE + "move(sliders[0], 2);")):
        shot = tmp_path / f"{index}.png"
        script = f"document.querySelector('.movable').scrollIntoView(); {moved}"
        page = html.replace("</body>", f"<script>{script}</script></body>")
        chromium(tmp_path, page, "--window-size=1100,900", f"--screenshot={shot}")
        seen.append(Image.open(shot).convert("RGB"))
    assert ImageChops.difference(*seen).getbbox() is not None
    colours = seen[0].resize((110, 90)).getcolors(maxcolors=110 * 90)
    assert colours is not None and len(colours) > 100


@browser
def test_without_a_script_every_frame_is_shown(pages: dict[str, Path], tmp_path: Path) -> None:
    html = re.sub(r"<script>.*?</script>", "", pages["polyp"].read_text(), flags=re.DOTALL)
    script = """
        const box = document.querySelector(".movable"), image = box.querySelector("img");
        return [image.clientWidth > 300, box.querySelector(".controls").clientHeight];
    """
    assert probed(tmp_path, html, script, "--window-size=1100,900") == [True, 0]


@browser
@both
def test_a_browser_shows_every_picture_on_wide_and_narrow_screens(
    study: str, pages: dict[str, Path], tmp_path: Path
) -> None:
    html = pages[study].read_text()
    script = """
        const shown = i => i.complete && i.naturalWidth && i.clientWidth;
        const images = [...document.images].filter(shown);
        return [images.length, document.documentElement.scrollWidth > innerWidth];
    """
    shown = probed(tmp_path, html, script, "--window-size=1100,900")
    assert shown == [html.count("<img "), False]
    # A headless window is at least 500 pixels wide, so a frame plays the telephone.
    (tmp_path / "report.html").write_text(html)
    frame = '<iframe src="report.html" width="390" height="700"></iframe></body>'
    script = "return document.querySelector('iframe').contentDocument.documentElement.scrollWidth"
    assert probed(tmp_path, frame, script) <= 390
