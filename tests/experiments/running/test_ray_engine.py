"""A study on Ray gives bitwise what it gives in one process, even when it loses a worker."""

import os
import subprocess
import sys
import time
from functools import cache, partial
from pathlib import Path

import pytest
import torch

from experiments.common.errors import UserError
from experiments.running.ray_engine import run_on_ray
from experiments.running.run_folder import RunFolder

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_memory_monitor_refresh_ms": "0",
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": str(ROOT),
}
STUDY = [
    *("--size", "32", "--count", "24", "--channels", "4", "8", "--networks", "plain", "p4"),
    *("--max_epochs", "40", "--angle_step", "90", "--accelerator", "cpu", "--device", "cpu"),
]
NAMES = ("plain-seed0", "p4-seed0")


@pytest.fixture
def quiet(monkeypatch):
    for name, value in QUIET.items():
        monkeypatch.setenv(name, value)


def study(out: Path, *words: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "experiments.polyp", "study", *STUDY, "--out", str(out)]
    return subprocess.Popen(
        [*command, *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def epochs(run: Path) -> int:
    file = RunFolder(run).metrics_file
    return len(file.read_text().splitlines()) - 1 if file.exists() else 0


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.05)


def weights(run: Path):
    return torch.load(RunFolder(run).last, weights_only=True)["state_dict"]


def test_a_study_that_loses_a_worker_ends_with_bitwise_the_same_weights(quiet, tmp_path):
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        workers = [cluster.add_node(num_cpus=1) for _ in range(2)]
        there = tmp_path / "ray"
        with study(there, "--engine", "ray", "--address", cluster.address) as process:
            wait_for(lambda: process.poll() is not None or all(epochs(there / n) for n in NAMES))
            assert process.poll() is None, process.stdout.read()
            cluster.remove_node(workers[0], allow_graceful=False)
            finished = [RunFolder(there / name).finished for name in NAMES]
            printed, _ = process.communicate(timeout=400)
        assert process.returncode == 0, printed
        assert finished == [False, False]
        assert "[2/2]" in printed and str(there / "report.html") in printed.replace("\n", "")
    finally:
        cluster.shutdown()
    with study(tmp_path / "here") as process:
        printed, _ = process.communicate(timeout=400)
    assert process.returncode == 0, printed
    for name in NAMES:
        expected, found = weights(tmp_path / "here" / name), weights(there / name)
        assert all(torch.equal(expected[key], found[key]) for key in expected)
        assert epochs(there / name) == 40


def write(file: Path) -> None:
    if file.suffix != ".txt":
        raise UserError(f"{file}: not a text")
    file.write_text(str(Path.cwd()))


def test_jobs_run_where_they_were_sent_from_and_one_that_fails_leaves_the_others(
    quiet, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    jobs = {name: partial(write, Path(name)) for name in ("a.txt", "b.png", "c.txt")}
    with pytest.raises(UserError, match=r"1 of 3 trainings: b\.png failed: b\.png: not a text"):
        run_on_ray(jobs, cpus=1)
    assert [Path(name).read_text() for name in ("a.txt", "c.txt")] == [os.getcwd()] * 2
    assert "[3/3]" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"--cpus 1 --gpus 99: no node has as many"):
        run_on_ray(jobs, gpus=99)


def test_a_cluster_that_is_not_there_is_refused(quiet, monkeypatch, tmp_path):
    # Somebody else's may run on this machine.
    monkeypatch.setattr("ray._private.services.find_gcs_addresses", cache(set))
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    with pytest.raises(UserError, match=r"--address auto: no Ray cluster answers there"):
        run_on_ray({}, address="auto")
