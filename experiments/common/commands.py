"""The options of the subcommands that every study has, beside `study` and `train`."""

from dataclasses import dataclass
from pathlib import Path

from experiments.common.options import Options, check_at_least

__all__ = ["GenerateOptions", "PredictOptions", "ReportOptions", "WhatToEvaluate"]


@dataclass(frozen=True, kw_only=True)
class WhatToEvaluate(Options):
    """A finished run."""

    run: Path
    """run folder"""


@dataclass(frozen=True, kw_only=True)
class ReportOptions(Options):
    """Compare evaluated runs in one HTML page."""

    runs: list[Path]
    """run folders; runs that differ in the seed alone are shown as one network"""
    out: Path
    """folder for report.html and report.json"""


@dataclass(frozen=True, kw_only=True)
class PredictOptions(Options):
    """Write the masks that a trained network finds."""

    checkpoint: Path
    """run folder, or a checkpoint file"""
    out: Path
    """folder for what is written"""
    overwrite: bool = False
    """replace the files of an earlier prediction"""
    device: str = "auto"
    """cpu, cuda, cuda:1, ... or auto: the best there is"""


@dataclass(frozen=True, kw_only=True)
class GenerateOptions(Options):
    """Write generated data to a folder."""

    out: Path
    """new or empty folder"""
    count: int
    """number of samples"""
    size: int
    """edge of a sample in pixels"""
    seed: int = 0
    """other seeds give other samples"""

    def check(self) -> None:
        """Raises `UserError` for a value out of range."""
        check_at_least("count", self.count, 1)
        check_at_least("size", self.size, 1)
        check_at_least("seed", self.seed, 0)
