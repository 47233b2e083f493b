"""Dividing the cases into training, validation and test.

The test is drawn first and the validation after it, so that they are the same however many cases
are trained on; the training sets of one seed are nested, because each is the beginning of the same
random order.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from experiments.common.errors import UserError
from experiments.common.names import natural_key
from experiments.common.splits import Split

HELD_OUT = 0.15
"""The share of all cases that validation and test each get when their number is not given."""


def split_cases(
    names: Sequence[str],
    seed: int,
    train: int | None = None,
    validation: int | None = None,
    test: int | None = None,
) -> Split:
    """Divide cases at random into three parts, none of them empty.

    Args:
        names: of all cases.
        seed: the same names and seed give the same split, whatever the order of the names.
        train: cases to train on; None takes all that are left.
        validation: cases for validation; None takes 15 % of all.
        test: cases for the test; None takes 15 % of all.

    Raises:
        UserError: when a number is below 1, a name is there twice, or the cases do not suffice.
    """
    asked = {"train_cases": train, "validation_cases": validation, "test_cases": test}
    for option, number in asked.items():
        if number is not None and number < 1:
            raise UserError(f"{option} is {number}: it should be at least 1")
    ordered = sorted(names, key=natural_key)
    twice = [name for name, after in pairwise(ordered) if name == after]
    if twice:
        raise UserError(f"the case {twice[0]} is there twice: keep one")
    share = max(1, round(HELD_OUT * len(ordered)))
    tested = share if test is None else test
    held_out = tested + (share if validation is None else validation)
    wanted = held_out + (1 if train is None else train)
    if wanted > len(ordered):
        raise UserError(
            f"{wanted} cases are needed, {wanted - held_out} to train on, {held_out - tested} for "
            f"validation and {tested} for the test, but there are {len(ordered)}: ask for fewer "
            "with train_cases, validation_cases and test_cases"
        )
    order = [ordered[i] for i in np.random.default_rng(seed).permutation(len(ordered))]
    left = order[held_out:]
    return Split(
        kind="random",
        seed=seed,
        train=tuple(left if train is None else left[:train]),
        validation=tuple(sorted(order[tested:held_out], key=natural_key)),
        test=tuple(sorted(order[:tested], key=natural_key)),
    )
