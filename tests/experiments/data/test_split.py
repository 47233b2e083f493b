"""Splits are functions of names and seed, keep groups together and do not depend on each other."""

import json
from collections import Counter
from pathlib import Path

import pytest

from experiments.common.errors import UserError
from experiments.data.order import EpochOrder
from experiments.data.split import PARTS, check_split, record_split, split_cases, split_groups

NAMES = [f"case{number}" for number in range(40)]
FRAMES = {f"{i}": f"video{i // 7}" for i in range(140)}


def sizes(split):
    return [len(getattr(split, part)) for part in PARTS]


def test_the_published_splits_stay_as_they_are():
    cases = split_cases(NAMES, 0)
    assert cases.test == ("case2", "case4", "case11", "case23", "case24", "case27")
    assert cases.validation == ("case1", "case3", "case10", "case18", "case22", "case34")
    assert cases.train[:3] == ("case20", "case26", "case28")
    videos = split_groups(FRAMES, 0)
    assert videos.test[:2] == ("35", "36") and videos.train[:3] == ("68", "78", "114")


def test_the_held_out_cases_do_not_depend_on_how_many_are_trained_on():
    every = split_cases(NAMES, 1)
    ten, five = (every.limited("train_cases", train) for train in (10, 5))
    assert ten.train == every.train[:10] and five.train == ten.train[:5]
    assert every.test == ten.test == five.test
    assert every.validation == ten.validation == five.validation
    assert sizes(every) == [28, 6, 6]
    assert sorted((*every.train, *every.validation, *every.test)) == sorted(NAMES)
    three, nine = (split_cases(NAMES, 1, validation=count) for count in (3, 9))
    assert three.test == nine.test


@pytest.mark.parametrize("divide", [lambda n, s: split_cases(n, s), split_groups])
def test_a_split_is_a_function_of_names_and_seed(divide):
    backwards = dict(reversed(FRAMES.items()))
    assert divide(backwards, 1) == divide(FRAMES, 1)
    assert divide(FRAMES, 1).test != divide(FRAMES, 2).test
    held_out = divide(FRAMES, 1).validation
    assert list(held_out) == sorted(held_out, key=int)


@pytest.mark.parametrize(
    ("train", "held_out", "message"),
    [
        (29, (), "--train_cases 29: must be from 1 to 28, those left"),
        (0, (), "--train_cases 0: must be from 1"),
        (10, (11, 20), "--train_cases 10: must be from 1 to 9"),
        (1, (30, 10), "--validation_cases 30 --test_cases 10: .* more than the 40 cases there"),
        (1, (None, -2), "--test_cases -2: must be at least 1"),
    ],
)
def test_more_cases_than_there_are_or_none_are_refused(train, held_out, message):
    with pytest.raises(UserError, match=message):
        split_cases(NAMES, 0, *held_out).limited("train_cases", train)


@pytest.mark.parametrize("seed", range(5))
def test_groups_stay_together_in_parts_of_about_the_right_size(seed):
    split = split_groups(FRAMES, seed)
    parts = [{FRAMES[name] for name in getattr(split, part)} for part in PARTS]
    assert sum(map(len, parts)) == len(set().union(*parts)) == 20
    assert sum(sizes(split)) == 140 and abs(len(split.train) - 98) <= 7


def test_no_part_is_empty_and_fewer_than_three_groups_are_refused():
    one_large = {f"{i}": "a" if i < 100 else f"b{i}" for i in range(102)}
    assert all(sizes(split_groups(one_large, 0)))
    with pytest.raises(UserError, match=r"2 video sequence\(s\) cannot be divided"):
        split_groups({"1": "a", "2": "b", "3": "b"}, 0)


def test_the_record_of_a_split_is_kept_and_compared(tmp_path: Path):
    file = tmp_path / "split.json"
    record_split(file, split_cases(NAMES, 0))
    for check in (record_split, check_split):
        check(file, split_cases(NAMES, 0))
    with pytest.raises(UserError, match="gives other train and validation and test samples now"):
        record_split(file, split_cases(NAMES, 1))
    with pytest.raises(UserError, match="gives other train samples now"):
        check_split(file, split_cases(NAMES, 0).limited("n", 5))
    for broken in ([], {"train": []}):
        file.write_text(json.dumps(broken))
        with pytest.raises(UserError, match="is no record of a split"):
            check_split(file, split_cases(NAMES, 0))


def test_an_order_holds_every_index_once_with_the_epoch_of_the_moment():
    epoch = 0
    order = EpochOrder(10, seed=0, epoch=lambda: epoch)
    first = list(order)
    epoch = 1
    second = list(order)
    assert sorted(first) == [(0, index) for index in range(10)]
    assert sorted(second) == [(1, index) for index in range(10)]
    assert [index for _, index in first] != [index for _, index in second]
    assert len(order) == 10 and Counter(index for _, index in first).most_common(1)[0][1] == 1
