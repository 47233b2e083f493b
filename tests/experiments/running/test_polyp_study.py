import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from experiments.command_line.parser import Command, run_command_line
from experiments.command_line.typed import command
from experiments.common.errors import UserError
from experiments.common.networks import parameters
from experiments.polyp.__main__ import main
from experiments.polyp.networks import build_network, network_arguments
from experiments.polyp.study import StudyOptions
from experiments.polyp.train import TrainOptions
from experiments.running.checkpoints import load_network
from experiments.running.run_folder import RunFolder

TINY = ["--size", "32", "--count", "24", "--channels", "4", "8", "--accelerator", "cpu"]
TRAIN = ["train", *TINY, "--network", "p4", "--max_epochs", "3"]
STUDY = ["study", *TINY, "--networks", "plain", "p4", "--max_epochs", "1", "--angle_step", "45"]


def weights(run: Path):
    return torch.load(RunFolder(run).last, weights_only=True)["state_dict"]


def equal(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished run of three epochs."""
    run = tmp_path_factory.mktemp("trained") / "run"
    assert main([*TRAIN, "--out", str(run)]) == 0
    return run


def test_a_run_can_be_loaded_and_says_what_it_was(trained):
    network, options = load_network(trained)
    assert network(torch.rand(1, 3, 32, 32)).shape == (1, 1, 32, 32)
    assert options == RunFolder(trained).config()
    assert (options["network"], options["size"], options["max_epochs"]) == ("p4", 32, 3)
    split = json.loads((trained / "split.json").read_text())
    assert [len(split[part]) for part in ("train", "validation", "test")] == [16, 4, 4]


def test_a_finished_run_is_not_trained_again(trained, capsys):
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*")}
    assert main([*TRAIN, "--out", str(trained)]) == 0
    assert "already trained (3 epochs)" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in trained.rglob("*")} == before


def test_a_finished_run_with_other_options_is_refused_and_left_alone(trained, capsys):
    before = weights(trained)
    assert main([*TRAIN, "--out", str(trained), "--learning_rate", "0.5", "--seed", "1"]) == 2
    message = capsys.readouterr().err
    assert "learning_rate: 0.003 there, 0.5 now" in message
    assert "seed: 0 there, 1 now" in message
    assert equal(weights(trained), before)


def test_the_recorded_config_repeats_a_run(trained, tmp_path):
    config = str(trained / "config.yaml")
    assert main(["train", "--config", config, "--out", str(tmp_path / "again")]) == 0
    assert equal(weights(trained), weights(tmp_path / "again"))


def test_a_killed_training_ends_with_bitwise_the_same_weights(trained, tmp_path, capsys):
    run = tmp_path / "killed"
    words = [*TRAIN, "--out", str(run)]
    # The kill falls into the middle of the second epoch: the process stops itself there.
    script = f"""
import os, signal, sys
from pytorch_lightning import Trainer
from experiments.running.task import SegmentationTask
from experiments.polyp.__main__ import main
step = SegmentationTask.training_step
def step_or_die(task, batch, index):
    if task.current_epoch == 1 and index == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(task, batch, index)
SegmentationTask.training_step = step_or_die
main({words!r})
"""
    killed = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert len((run / "metrics.csv").read_text().splitlines()) == 2
    assert main(words) == 0
    assert "continuing" in capsys.readouterr().out
    assert equal(weights(trained), weights(run))


def test_an_interrupted_command_says_how_to_continue(tmp_path):
    words = [*TRAIN, "--max_epochs", "1000", "--out", str(tmp_path / "run")]
    command = [sys.executable, "-m", "experiments.polyp", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "run" / "metrics.csv").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "rerun the same command" in errors.decode()
    assert "Traceback" not in errors.decode()


def test_the_study_trains_evaluates_and_reports_and_does_nothing_twice(tmp_path, capfd):
    out = tmp_path / "study"
    assert main([*STUDY, "--out", str(out)]) == 0
    printed = capfd.readouterr()
    assert printed.err == ""
    assert str(out / "report.html") in printed.out.replace("\n", "")
    for name in ("plain-seed0", "p4-seed0"):
        assert RunFolder(out / name).finished
        assert (out / name / "evaluation" / "evaluation.json").is_file()
    assert "<html" in (out / "report.html").read_text()

    evaluations = {path: path.stat().st_mtime_ns for path in out.rglob("evaluation.json")}
    (out / "p4-seed0" / "evaluation" / "evaluation.json").unlink()  # as if killed before it
    assert main([*STUDY, "--out", str(out)]) == 0
    assert capfd.readouterr().out.count("already trained") == 2
    times = {path: path.stat().st_mtime_ns for path in out.rglob("evaluation.json")}
    changed = [path.parts[-3] for path in evaluations if times[path] != evaluations[path]]
    assert changed == ["p4-seed0"]


def test_a_study_of_several_seeds_is_one_training_for_each_network_and_seed(tmp_path):
    options = StudyOptions(out=tmp_path, networks=["plain", "p4"], seeds=[3, 5], max_epochs=7)
    trainings = options.trainings()
    assert [(t.network, t.seed) for t in trainings] == [
        ("plain", 3),
        ("p4", 3),
        ("plain", 5),
        ("p4", 5),
    ]
    assert len({t.out for t in trainings}) == 4
    assert {t.max_epochs for t in trainings} == {7}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"networks": ["p4"], "seeds": [1, 2], "channels": None, "size": 80},
        {"dataset": "kvasir", "root": Path("/a folder/Kvasir-SEG"), "augment": "rotate"},
        {"lit": True, "limit_train": 10, "angle_step": 30.0},
    ],
)
def test_the_command_of_a_study_gives_the_same_study(changes):
    options = StudyOptions(out=Path("runs/a study"), **changes)
    understood = []
    typed = command("python -m experiments.polyp", "study", StudyOptions, vars(options))
    cook = Command("study", StudyOptions, understood.append)
    assert run_command_line("polyp", "", [cook], shlex.split(typed)[3:]) == 0
    assert understood == [options]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--size", "100", "--channels", "null"], "--size 100: 5 levels.*16; use 96 or 112"),
        (["--size", "3"], "--size 3: 2 levels.*2; use 2 or 4"),
        (["--size", "-32"], "--size -32"),
        (["--network", "vgg"], "--network vgg: unknown; choose from plain, p4"),
        (["--channels", "8"], "--channels 8: give two or more"),
        (["--channels", "8", "-1"], "-1"),
        (["--channels", "0", "8"], "--channels 0 8"),
        (["--seed", "-1"], "--seed -1"),
        (["--batch_size", "0"], "--batch_size 0: must be at least 1"),
        (["--count", "2"], "--count 2: must be from 3"),
        (["--dataset", "kvasir"], "root"),
        (["--root", "/tmp"], "generated data needs none"),
        (["--dataset", "kvasir", "--root", "/nowhere"], "/nowhere"),
        (["--split", "sequence"], "sequence"),
        (["--limit_train", "0"], "limit_train"),
        (["--precision", "8-bit"], "precision"),
    ],
)
def test_a_training_that_makes_no_sense_is_refused_before_anything_is_made(
    words, message, tmp_path, capsys
):
    assert main([*TRAIN, "--out", str(tmp_path / "run"), *words]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert re.search(message, error)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"networks": ["vgg"]}, "vgg: unknown"),
        ({"size": 60}, "use 56 or 64"),
        ({"angle_step": 7.0}, "--angle_step"),
    ],
)
def test_a_study_that_makes_no_sense_is_refused(changes, message, tmp_path):
    with pytest.raises(UserError, match=message):
        StudyOptions(out=tmp_path, **changes)


def test_the_generated_data_can_be_written_and_trained_on(tmp_path):
    data = tmp_path / "data"
    assert main(["generate", "--out", str(data), "--count", "24", "--size", "32"]) == 0
    read_back = ["--dataset", "kvasir", "--root", str(data), "--max_epochs", "1"]
    assert main([*TRAIN, *read_back, "--out", str(tmp_path / "run")]) == 0


def test_the_parts_of_the_study_can_be_typed_one_by_one(trained, tmp_path, capsys):
    run, images, masks, page = (str(tmp_path / n) for n in ("run", "images", "masks", "page"))
    shutil.copytree(trained, run)
    assert main(["evaluate", "--run", run, "--angle_step", "90"]) == 0
    assert main(["report", "--runs", run, "--out", page]) == 0
    assert main(["generate", "--out", images, "--count", "2", "--size", "40"]) == 0
    predict = ["predict", "--checkpoint", run, "--images", f"{images}/images", "--out", masks]
    assert main(predict) == 0
    assert main(predict) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main([*predict, "--overwrite"]) == 0
    assert len(list(Path(masks).glob("*_mask.png"))) == 2


def test_a_changed_data_set_is_noticed_when_a_run_is_continued(tmp_path, capsys):
    data = tmp_path / "data"
    assert main(["generate", "--out", str(data), "--count", "24", "--size", "32"]) == 0
    words = [*TRAIN, "--dataset", "kvasir", "--root", str(data), "--out", str(tmp_path / "run")]
    assert main(words) == 0
    (tmp_path / "run" / "result.json").unlink()
    for folder in ("images", "masks"):
        (data / folder / "generated-0007.png").unlink()
    capsys.readouterr()
    assert main(words) == 2
    assert "samples now than when this run began" in capsys.readouterr().err


def test_config_files_hold_every_option_of_the_command_line(trained):
    config = yaml.safe_load((trained / "config.yaml").read_text())
    options = TrainOptions(out=trained, **config)
    assert options.config() == config


def test_the_architecture_options_reach_the_network_and_its_checkpoint() -> None:
    options = {"network": "p4", "channels": [4, 8], "kernel_size": 5, "downsampling": "blur"}
    arguments = network_arguments({**options, "anti_aliased": True})
    network = build_network(**arguments)
    assert arguments["kernel_size"] == 5
    assert {"AntiAliased", "SpatialBlurPool"} <= {type(m).__name__ for m in network.modules()}
    plain = parameters(build_network("plain", [4, 8], kernel_size=5))
    assert parameters(network) == pytest.approx(plain, rel=0.2)


def test_an_even_kernel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--kernel_size 4: an odd one"):
        TrainOptions(out=tmp_path, kernel_size=4)
