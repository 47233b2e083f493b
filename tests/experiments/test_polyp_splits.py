"""Splits divide all samples, share none, and never part a video sequence."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.common.errors import UserError
from experiments.common.splits import PARTS, Split
from experiments.polyp.splits import split_samples


def parts_of(split):
    return {part: getattr(split, part) for part in PARTS}


def of_sizes(sizes):
    """The sequence of every sample, for sequences of the given sizes."""
    return {f"{s}-{i}": f"{s}" for s, size in enumerate(sizes) for i in range(size)}


samples = st.lists(st.integers(1, 30), min_size=3, max_size=40).map(of_sizes)
seeds = st.integers(0, 2**32)
kinds = st.sampled_from(["random", "sequence"])


@given(samples, kinds, seeds)
def test_every_sample_is_in_exactly_one_part_and_no_part_is_empty(sequences, kind, seed):
    parts = parts_of(split_samples(sequences, kind, seed))
    assert sorted(name for part in parts.values() for name in part) == sorted(sequences)
    assert all(parts.values())


@given(samples, seeds)
def test_no_video_sequence_is_in_two_parts(sequences, seed):
    parts = parts_of(split_samples(sequences, "sequence", seed))
    found = [{sequences[name] for name in part} for part in parts.values()]
    assert sum(len(part) for part in found) == len(set().union(*found))


@given(samples, kinds, seeds)
def test_the_split_depends_on_the_seed_and_not_on_the_order_of_the_samples(sequences, kind, seed):
    backwards = dict(reversed(sequences.items()))
    assert split_samples(backwards, kind, seed) == split_samples(sequences, kind, seed)


@given(samples, kinds, seeds)
def test_a_split_survives_its_record(sequences, kind, seed):
    split = split_samples(sequences, kind, seed)
    assert Split.from_dict(json.loads(json.dumps(split.to_dict()))) == split


@given(st.lists(st.integers(1, 30), min_size=20, max_size=40).map(of_sizes), seeds)
def test_the_parts_of_a_sequence_split_miss_their_share_by_at_most_two_sequences(sequences, seed):
    parts = parts_of(split_samples(sequences, "sequence", seed))
    shares = {"train": 0.7, "validation": 0.15, "test": 0.15}
    for part, share in shares.items():
        assert abs(len(parts[part]) - share * len(sequences)) <= 2 * 30


@pytest.mark.parametrize(
    ("count", "expected"), [(1000, (700, 150, 150)), (612, (428, 92, 92)), (3, (1, 1, 1))]
)
def test_a_random_split_has_70_15_and_15_percent(count, expected):
    split = split_samples({str(i): str(i) for i in range(count)}, "random", seed=0)
    assert tuple(len(part) for part in parts_of(split).values()) == expected


@pytest.mark.parametrize("kind", ["random", "sequence"])
def test_other_seeds_give_other_splits(kind):
    sequences = of_sizes([20] * 29)
    assert len({frozenset(split_samples(sequences, kind, seed).test) for seed in range(10)}) == 10


@pytest.mark.parametrize("kind", ["random", "sequence"])
def test_the_first_training_names_are_drawn_from_all_of_them(kind):
    split = split_samples(of_sizes([20] * 20), kind, seed=0)
    assert len({name.split("-")[0] for name in split.train[:20]}) > 5


def test_the_sequences_of_clinicdb_come_close_to_their_shares():
    sizes = [25, 25, 17, 11, 25, 23, 25, 26, 22, 6, 22, 25, 25, 20, 20]
    sizes += [25, 21, 20, 25, 20, 19, 19, 12, 25, 25, 18, 25, 20, 21]
    for seed in range(20):
        split = split_samples(of_sizes(sizes), "sequence", seed)
        assert abs(len(split.train) / 612 - 0.70) < 0.04
        assert abs(len(split.validation) / 612 - 0.15) < 0.04
        assert abs(len(split.test) / 612 - 0.15) < 0.04


@pytest.mark.parametrize("kind", ["random", "sequence"])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_to_divide_are_refused(kind, count):
    with pytest.raises(UserError, match=rf"{count} (sample|video sequence)\(s\) .* at least 3"):
        split_samples({str(i): str(i) for i in range(count)}, kind, seed=0)


def test_many_samples_of_two_sequences_are_refused():
    with pytest.raises(UserError, match=r"2 video sequence\(s\)"):
        split_samples(of_sizes([50, 50]), "sequence", seed=0)


def test_an_unknown_kind_is_refused():
    with pytest.raises(UserError, match="'video': choose one of random, sequence"):
        split_samples(of_sizes([1, 1, 1]), "video", seed=0)


def test_a_record_with_a_shared_sample_or_a_missing_part_is_refused():
    record = split_samples(of_sizes([2, 2, 2]), "random", seed=0).to_dict()
    with pytest.raises(UserError, match=r"has '\d-\d' more than once"):
        Split.from_dict(record | {"test": record["train"]})
    with pytest.raises(UserError, match="has no test"):
        Split.from_dict({key: value for key, value in record.items() if key != "test"})
