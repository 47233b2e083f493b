"""`python -m experiments.tumour`: the command line of the tumour study."""

import sys
from functools import partial

from experiments.running.study_commands import run_study_command
from experiments.tumour.study import STUDY

main = partial(run_study_command, STUDY)

if __name__ == "__main__":
    sys.exit(main())
