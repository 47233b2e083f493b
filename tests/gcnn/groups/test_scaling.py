"""Windows of the scalings: what interacts, what is seen past the ends, and where outputs live."""

import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gcnn import filters
from gcnn.geometry import rotation
from gcnn.groups import P4, Group, ScaleTranslation

ENDS = ("zero", "replicate", "valid")
WINDOWS = {
    "count": st.integers(1, 5),
    "ratio": st.sampled_from([0.5, 0.8, 1.26, 2.0]),
    "first": st.sampled_from([0.7, 1.0, 3.0]),
    "dim": st.integers(1, 3),
    "interaction": st.integers(1, 5),
    "end": st.sampled_from(ENDS),
}


few = settings(max_examples=30, deadline=None)


def window(count, ratio, first, dim, interaction, end):
    """A window, with as many interacting scales as it has at the most."""
    scales = [first * ratio**i for i in range(count)]
    return scales, ScaleTranslation(scales, dim, min(interaction, count), end)


@few
@given(**WINDOWS)
def test_elements_are_dilations_in_the_order_given(**chosen):
    scales, group = window(**chosen)
    dim = chosen["dim"]
    assert (group.dim, group.order, group.scales) == (dim, len(scales), tuple(scales))
    for scale, matrix in zip(scales, group.matrices, strict=True):
        torch.testing.assert_close(matrix, scale * torch.eye(dim, dtype=torch.float64))


@few
@given(**WINDOWS)
def test_every_scale_sees_itself_and_those_that_follow_it(**chosen):
    scales, group = window(**chosen)
    last, interaction = len(scales) - 1, min(chosen["interaction"], len(scales))
    beyond = last if chosen["end"] == "replicate" else -1
    expected = [
        [h + m if h + m <= last else beyond for m in range(interaction)] for h in range(last + 1)
    ]
    assert group.sources.tolist() == expected


@few
@given(**WINDOWS)
def test_the_relative_table_is_that_of_the_ratios_that_interact(**chosen):
    scales, group = window(**chosen)
    interaction = min(chosen["interaction"], len(scales))
    ratios = [scales[m] / scales[0] for m in range(interaction)]
    assert group.relative_matrices[:, 0, 0].tolist() == pytest.approx(ratios)
    for h in range(len(scales)):
        for g in range(len(scales)):
            expected = g - h if 0 <= g - h < interaction else -1
            assert group.relative[h, g] == expected


@few
@given(**WINDOWS)
def test_only_restricted_windows_lose_scales(**chosen):
    scales, group = window(**chosen)
    lost = min(chosen["interaction"], len(scales)) - 1 if chosen["end"] == "valid" else 0
    kept = scales[: len(scales) - lost]
    assert group.outputs.tolist() == list(range(len(kept)))
    assert group.target.scales == tuple(kept)
    assert (group.target is group) is (lost == 0)
    assert group.target.basis == group.basis and group.target.scale_padding == chosen["end"]


@few
@given(**WINDOWS)
def test_the_name_is_the_call_that_makes_it(**chosen):
    _, group = window(**chosen)
    other = eval(repr(group), {"ScaleTranslation": ScaleTranslation})
    assert repr(other) == repr(group)
    assert torch.equal(other.matrices, group.matrices)
    assert torch.equal(other.sources, group.sources)


def test_the_windows_of_restricted_outputs_shrink_one_after_the_other():
    group = ScaleTranslation([1.0, 2.0, 4.0, 8.0], interaction=2, scale_padding="valid")
    orders = []
    while group.target is not group:
        orders.append(group.order)
        group = group.target
    assert [*orders, group.order] == [4, 3, 2, 1]


def test_scales_may_have_any_ratios_as_long_as_they_do_not_interact():
    group = ScaleTranslation([1.0, 1.1, 3.0])
    assert group.sources.tolist() == [[0], [1], [2]]
    message = r"constant ratio, got \[1.0, 1.1, 3.0\] with the ratios \[1.1, 2.7273\]"
    with pytest.raises(ValueError, match=message):
        ScaleTranslation([1.0, 1.1, 3.0], interaction=2)


def test_another_basis_and_another_end_are_in_the_name():
    basis = filters.HermiteGaussian(order=3, combine="tensor")
    group = ScaleTranslation([1.0, 2.0], 3, scale_padding="replicate", basis=basis)
    other = eval(repr(group), {**vars(filters), "ScaleTranslation": ScaleTranslation})
    assert repr(other) == repr(group) and other.basis == basis and other.outside == "replicate"


def test_the_basis_is_hermite_unless_another_is_given():
    assert ScaleTranslation([1.0, 2.0]).basis == filters.HermiteGaussian()
    tensor = filters.HermiteGaussian(combine="tensor")
    group = ScaleTranslation([1.0, 2.0], interaction=2, scale_padding="valid", basis=tensor)
    assert group.basis == group.target.basis == tensor


@pytest.mark.parametrize(
    ("scales", "options", "message"),
    [
        ([], {}, r"must grow or shrink, got \[\]"),
        ([1.0, -2.0], {}, r"positive and finite, got -2.0 in \[1.0, -2.0\]"),
        ([0.0], {}, "positive and finite, got 0.0 in"),
        ([0.0, 1.0], {}, "got 0.0 in"),
        ([float("nan")], {}, "got nan in"),
        ([1.0, float("nan")], {}, "got nan in"),
        ([float("inf")], {}, "got inf in"),
        ([1.0, float("inf")], {}, "got inf in"),
        ([1.0, 1.0], {}, r"must grow or shrink, got \[1.0, 1.0\]"),
        ([1.0, 2.0, 1.5], {}, r"must grow or shrink, got \[1.0, 2.0, 1.5\]"),
        ([1.0], {"dim": 4}, "dim must be 1, 2 or 3, got 4"),
        ([1.0], {"dim": True}, "dim must be 1, 2 or 3, got True"),
        ([1.0, 2.0], {"interaction": 0}, "from 1 to the number of scales, 2, got 0"),
        ([1.0, 2.0], {"interaction": 3}, "from 1 to the number of scales, 2, got 3"),
        ([1.0, 2.0], {"interaction": True}, "from 1 to the number of scales, 2, got True"),
        ([1.0, 2.0], {"scale_padding": "wrap"}, r"\('zero', 'replicate', 'valid'\), got 'wrap'"),
    ],
    ids=str,
)
def test_what_makes_no_window_is_refused(scales, options, message):
    with pytest.raises(ValueError, match=message):
        ScaleTranslation(scales, **options)


def test_any_group_may_say_who_interacts():
    quarters = torch.stack([rotation(0), rotation(90)])
    group = Group(P4().matrices, interacting=quarters)
    assert group.sources.tolist() == [[0, 1], [1, 2], [2, 3], [3, 0]]
    assert group.relative.tolist() == [
        [0, 1, -1, -1],
        [-1, 0, 1, -1],
        [-1, -1, 0, 1],
        [1, -1, -1, 0],
    ]
    assert group.target is group and group.is_closed


@pytest.mark.parametrize("outside", ["zero", "replicate", "valid"])
def test_a_closed_group_has_no_outside(outside):
    group = Group(P4().matrices, interacting=P4().matrices, outside=outside)
    assert torch.equal(group.sources, P4().product) and group.target is group


def test_by_default_all_elements_interact():
    assert P4().interacting is None
    assert torch.equal(P4().sources, P4().product)


def test_a_window_too_small_for_its_neighbours_is_refused():
    dilations = torch.tensor([1.0, 2.0]).double()[:, None, None] * torch.eye(2).double()
    with pytest.raises(
        ValueError, match=r"no element of .* has all its 2 neighbours in the window"
    ):
        Group(dilations[:1], interacting=dilations, outside="valid")


@pytest.mark.parametrize("outside", ["replicate", "valid"])
def test_ends_are_only_treated_where_neighbours_are_named(outside):
    with pytest.raises(ValueError, match=f"outside='{outside}' needs interacting"):
        Group(P4().matrices, outside=outside)


def test_a_generic_window_is_restricted_too():
    dilations = torch.tensor([1.0, 2.0, 4.0]).double()[:, None, None] * torch.eye(2).double()
    group = Group(dilations, interacting=dilations[:2], outside="valid", name="Window")
    assert group.target.order == 2 and repr(group.target) == "Window[[0, 1]]"


def test_a_window_lives_on_the_cpu_whatever_the_default_device_and_mode():
    with torch.device("meta"), torch.inference_mode():
        group = ScaleTranslation([1.0, 2.0], interaction=2, scale_padding="valid")
        target = group.target
    for window_ in (group, target, pickle.loads(pickle.dumps(group))):
        for table in (window_.matrices, window_.sources, window_.outputs):
            assert table.device.type == "cpu" and not table.is_inference()
