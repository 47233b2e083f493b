"""Several jobs at a time on Ray: on the cores of this machine, or on a cluster."""

import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

from experiments.command_line.parser import silence_libraries
from experiments.common.errors import UserError
from experiments.running.callbacks import announce

RETRIES = 10
"""How often a job may lose its worker; it continues where its files say."""


def run_on_ray(
    jobs: Mapping[str, Callable[[], None]],
    address: str | None = None,
    cpus: float = 1,
    gpus: float = 0,
) -> None:
    """Runs every job as a Ray task, again on another worker when its worker is lost.

    Jobs can be pickled and run again after an interruption; the folders that they name are on a
    file system that all workers share. When some have failed, the others are done all the same.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        from ray.exceptions import RayError, RayTaskError
    except ImportError:
        raise UserError("--engine ray: Ray is not installed; pip install '.[ray]'") from None
    local = {"address": "local", "include_dashboard": False}
    where: dict[str, Any] = local if address is None else {"address": address}
    try:
        ray.init(logging_level=logging.ERROR, log_to_driver=False, **where)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"--address {address}: no Ray cluster answers there ({reason})") from None
    try:
        _require([node["Resources"] for node in ray.nodes() if node["Alive"]], cpus, gpus)
        task = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=RETRIES)(_run_in)
        folder = os.getcwd()
        pending = {task.options(name=name).remote(folder, job): name for name, job in jobs.items()}
        announce(f"{len(jobs)} trainings on Ray, each with --cpus {cpus:g} --gpus {gpus:g}")
        failures = []
        while pending:
            (done,), _ = ray.wait(list(pending), num_returns=1)
            name, outcome = pending.pop(done), "done"
            try:
                ray.get(done)
            except RayTaskError as error:
                if not isinstance(error.cause, UserError):
                    raise
                outcome = f"failed: {error.cause}"
            except RayError as error:
                outcome = f"failed {RETRIES + 1} times: {str(error).splitlines()[0]}"
            if outcome != "done":
                failures.append(f"{name} {outcome}")
            announce(f"[{len(jobs) - len(pending)}/{len(jobs)}] {name}: {outcome}")
        if failures:
            raise UserError(f"{len(failures)} of {len(jobs)} trainings: {'; '.join(failures)}")
    finally:
        ray.shutdown()


def _run_in(folder: str, job: Callable[[], None]) -> None:
    """Runs a job where the study was started: its paths may be relative."""
    silence_libraries()
    try:
        os.chdir(folder)
    except OSError as error:
        raise UserError(f"{folder}: not there for a worker of Ray ({error.strerror})") from None
    job()


def _require(nodes: list[dict[str, float]], cpus: float, gpus: float) -> None:
    """Ray waits for ever for what no node has."""
    if not any(node.get("CPU", 0) >= cpus and node.get("GPU", 0) >= gpus for node in nodes):
        found = "; ".join(f"{n.get('CPU', 0):g} CPUs, {n.get('GPU', 0):g} GPUs" for n in nodes)
        raise UserError(f"--cpus {cpus:g} --gpus {gpus:g}: no node has as many (there are {found})")
