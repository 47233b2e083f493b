"""`python -m experiments.polyp`: the command line of the polyp study."""

import sys
from functools import partial

from experiments.polyp.study import STUDY
from experiments.running.study_commands import run_study_command

main = partial(run_study_command, STUDY)

if __name__ == "__main__":
    sys.exit(main())
