"""Processor time side by side, and the peak of a process's memory."""

import ctypes
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import torch


def seconds(call: Callable[[], object]) -> float:
    """Processor time of one call: on one thread its duration, whatever else the machine runs."""
    start = time.process_time()
    call()
    return time.process_time() - start


def ratio(first: Callable[[], object], second: Callable[[], object], rounds: int) -> float:
    """Median over rounds of the duration of `first` in durations of `second`, run in turn."""
    for call in (first, second):
        call()
    return median(seconds(first) / seconds(second) for _ in range(rounds))


def ratios(
    calls: Sequence[Callable[[], object]], base: Callable[[], object], rounds: int
) -> tuple[list[float], float]:
    """Medians over rounds of the duration of each call in durations of `base`, and that of `base`.

    All are run in turn, and twice before to warm up.
    """
    for call in (*calls, base) * 2:
        call()
    durations = [[seconds(call) for call in (*calls, base)] for _ in range(rounds)]
    found = [median(row[i] / row[-1] for row in durations) for i in range(len(calls))]
    return found, median(row[-1] for row in durations)


def settle_allocator() -> None:
    """Make every library start from the same allocator: one that keeps freed buffers of some MB.

    glibc gives such buffers back to the system, and faults them in again at every step, until it
    has seen a buffer of up to 32 MB freed. In training it soon has; here it would depend on how
    much memory a library wastes in building its layers.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8).fill_(0)


def reset_peak_memory() -> float:
    """Forget the peak of this process's memory (glibc); returns what is in use now, in MB."""
    # Freed memory that the allocator keeps would hide what is allocated next.
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return memory("VmRSS")


def memory(entry: str) -> float:
    """An entry of this process's memory statistics in MB (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{entry}:"))
    return float(line.split()[1]) / 1024
