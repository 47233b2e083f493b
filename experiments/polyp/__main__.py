"""`python -m experiments.polyp`: the command line of the polyp study."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from experiments.common.cli import Command, run_command_line
from experiments.polyp.train import TrainOptions, train

PROGRAM = "python -m experiments.polyp"

COMMANDS = (Command("train", TrainOptions, train),)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command in `arguments` (default: of the process) and returns the exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    return run_command_line(PROGRAM, "Equivariant polyp segmentation.", COMMANDS, words)


if __name__ == "__main__":
    sys.exit(main())
