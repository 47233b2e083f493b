"""Checkpoints hold weights and what they belong to; copies, files and modes change nothing."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn

from gcnn import filters, groups, layers
from tests.gcnn.layers.networks import GROUPS, image, network

over_groups = pytest.mark.parametrize("group", GROUPS, ids=repr)
KEYS = [
    "0.weight", "0.bias", "0._extra_state",
    "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked",
    "3.weight", "3.bias", "3._extra_state",
]  # fmt: skip


def through_a_file(thing, **options):
    file = io.BytesIO()
    torch.save(thing, file)
    file.seek(0)
    return torch.load(file, **options)


@torch.no_grad()
def used(group):
    """A network in eval mode whose filters are remembered, and its output."""
    model, x = network(group), image(group)
    model(x)
    model.eval()
    return model, x, model(x)


@over_groups
@pytest.mark.parametrize("training", [True, False])
def test_a_checkpoint_holds_weights_and_what_they_belong_to(group, training):
    model, _, _ = used(group)
    assert list(model.train(training).state_dict()) == KEYS


@over_groups
def test_a_checkpoint_loads_with_weights_only_between_train_and_eval_mode(group):
    model, x, expected = used(group)
    for save_training in (True, False):
        for load_training in (True, False):
            state = through_a_file(model.train(save_training).state_dict(), weights_only=True)
            other = network(group, seed=9).train(load_training)
            with torch.no_grad():
                other(x)  # An eval network remembers filters of its own.
            assert other.load_state_dict(state).missing_keys == []
            assert torch.equal(other.eval()(x), expected)


@over_groups
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "duplicate",
    [
        copy.deepcopy,
        lambda model: pickle.loads(pickle.dumps(model)),
        lambda model: through_a_file(model, weights_only=False),
    ],
    ids=["deepcopy", "pickle", "torch.save"],
)
def test_a_copy_computes_the_same_and_stands_alone(group, training, duplicate):
    model, x, expected = used(group)
    other = duplicate(model.train(training))
    assert other.training is training
    assert torch.equal(other.eval()(x), expected)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert not other(x).any()
    assert torch.equal(model.eval()(x), expected)


def test_a_copy_of_a_training_network_keeps_training():
    model = copy.deepcopy(network(groups.SteerableSE2(8)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = model[3].weight.detach().clone()
    model(image(groups.SteerableSE2(8))).square().mean().backward()
    optimizer.step()
    assert not torch.equal(model[3].weight, before)


def test_a_pickled_network_carries_no_remembered_filters():
    model, _x, _ = used(groups.SteerableSE2(8))
    with_filters = len(pickle.dumps(model))
    model.train()
    assert with_filters - len(pickle.dumps(model)) < 200


@over_groups
def test_a_checkpoint_of_another_dtype_loads_into_ones_own(group):
    model, x, expected = used(group)
    other = network(group, seed=9).double().eval()
    other.load_state_dict(model.state_dict())
    assert other(x.double()).dtype == torch.float64
    torch.testing.assert_close(other(x.double()).float(), expected, atol=1e-5, rtol=1e-5)


def test_a_missing_or_misshapen_weight_is_reported_by_torch():
    model = network(groups.P4())
    state = model.state_dict()
    del state["3.weight"]
    with pytest.raises(RuntimeError, match=r"Missing key\(s\) in state_dict: \"3.weight\""):
        model.load_state_dict(state)
    state = model.state_dict()
    state["3.weight"] = state["3.weight"][:2]
    with pytest.raises(RuntimeError, match=r"size mismatch for 3\.weight"):
        model.load_state_dict(state)


def test_moving_averages_of_weights_work():
    model = network(groups.P4())
    average = torch.optim.swa_utils.AveragedModel(model)
    average.update_parameters(model)
    torch.testing.assert_close(average.eval()(image(groups.P4())), model.eval()(image(groups.P4())))


def test_weights_shared_by_two_layers_stay_shared():
    group = groups.P4()
    one, other = network(group)[3], network(group, seed=5)[3]
    other.weight, other.bias = one.weight, one.bias
    both = copy.deepcopy(nn.Sequential(one, other)).double()
    assert both[0].weight is both[1].weight
    x = torch.randn(1, 3, 4, 5, 5, dtype=torch.float64)
    torch.testing.assert_close(both[0](x), both[1](x))


def lifting(group, basis=None):
    return layers.LiftingConv(group, 2, 3, 3, basis=basis)


ELSEWHERE = {
    "another group": (lifting(groups.P4()), lifting(groups.P4M()), r"P4\(\).*P4M\(\)"),
    "another number of rotations": (
        lifting(groups.SE2(4)), lifting(groups.SE2(8)), r"SE2\(4\).*SE2\(8\)",
    ),
    "another basis": (
        lifting(groups.SteerableSE2(8), filters.OptimalSteerable(functions=9)),
        lifting(groups.SteerableSE2(8), filters.Pixels()),
        r"OptimalSteerable\(.*Pixels\(disc=False\)",
    ),
    "another window": (
        lifting(groups.ScaleTranslation([1.0, 0.9, 0.81])),
        lifting(groups.ScaleTranslation([1.0, 0.5, 0.25])),
        r"\[1\.0, 0\.9, 0\.81\].*\[1\.0, 0\.5, 0\.25\].*layers\.rewindow",
    ),
    "other neighbours": (
        lifting(groups.ScaleTranslation([1.0, 0.8, 0.64])),
        lifting(groups.ScaleTranslation([1.0, 0.8, 0.64], interaction=2)),
        r"0\.64\], dim=2\).*interaction=2",
    ),
}  # fmt: skip


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("case", ELSEWHERE)
def test_weights_of_another_group_basis_or_window_are_refused_with_both_named(case, strict):
    given, own, message = ELSEWHERE[case]
    before = own.weight.clone()
    state = through_a_file(given.state_dict(), weights_only=True)
    assert given.weight.shape == own.weight.shape
    with pytest.raises(RuntimeError, match=message):
        own.load_state_dict(state, strict=strict)
    assert torch.equal(own.weight, before)


@pytest.mark.parametrize(
    "copied",
    [
        lambda state: {name: value.clone() for name, value in state.items()},
        lambda state: {name: value.half() for name, value in state.items()},
        lambda state: {name: value.numpy() for name, value in state.items()},
    ],
    ids=["clone", "half", "numpy"],
)
def test_the_label_survives_what_people_do_to_states(copied):
    state = copied(network(groups.P4()).state_dict())
    state = {name: torch.as_tensor(value) for name, value in state.items()}
    network(groups.P4()).load_state_dict(state)
    with pytest.raises(RuntimeError, match=r"3: the weights are those of P4\(\)"):
        network(groups.SteerableSE2(8)).load_state_dict(state)


@over_groups
def test_a_checkpoint_from_before_there_were_labels_loads(group):
    model, x, expected = used(group)
    state = {n: v for n, v in model.state_dict().items() if not n.endswith("_extra_state")}
    other = network(group, seed=9).eval()
    assert str(other.load_state_dict(state)) == "<All keys matched successfully>"
    assert torch.equal(other(x), expected)


def test_the_same_elements_by_another_name_are_the_same_group():
    lifting(groups.SE2(4)).load_state_dict(lifting(groups.P4()).state_dict())


def test_weights_of_another_kernel_size_are_refused_where_their_shape_fits():
    group = groups.ScaleTranslation([1.0, 0.8, 0.64])
    one, other = (layers.LiftingConv(group, 2, 3, size) for size in (7, 5))
    assert one.weight.shape == other.weight.shape
    with pytest.raises(RuntimeError, match=r"kernel_size=7, this layer .* kernel_size=5"):
        other.load_state_dict(one.state_dict())


class Ramp(filters.Basis):
    """A basis that neither prints nor compares by value."""

    def move(self, matrices, kernel_size):
        return torch.arange(kernel_size**2).double().view(1, 1, kernel_size, -1) + 0 * matrices.sum(
            dim=(1, 2)
        ).view(1, -1, 1, 1)


def test_bases_are_compared_by_their_functions_and_not_by_how_they_print():
    one, other = (lifting(groups.P4(), Ramp()) for _ in range(2))
    assert repr(one.basis) != repr(other.basis)
    other.load_state_dict(one.state_dict())
    one, other = (
        lifting(groups.ScaleTranslation([1.0]), filters.HermiteGaussian(half_width=width))
        for width in (3, 3.0)
    )
    other.load_state_dict(one.state_dict())


def test_averages_of_states_and_states_without_data_load():
    model, other = network(groups.P4()), network(groups.P4(), seed=3)
    ones, others = model.state_dict(), other.state_dict()
    averaged = {name: 0.9 * value + 0.1 * others[name] for name, value in ones.items()}
    model.load_state_dict(averaged)
    with pytest.raises(RuntimeError, match=r"are those of P4\(\)"):
        network(groups.SteerableSE2(4)).load_state_dict(averaged)
    without_data = {name: value.to("meta") for name, value in ones.items()}
    other.load_state_dict(without_data, assign=True)
    assert all(parameter.is_meta for parameter in other.parameters())


@pytest.mark.parametrize("label", [[1, 2, 3], list(b"{}"), list(b'{"fingerprint": [1, 2, 3]}')])
def test_a_damaged_label_is_said_to_be_damaged(label):
    state = network(groups.P4()).state_dict()
    state["3._extra_state"] = torch.tensor(label, dtype=torch.uint8)
    with pytest.raises(RuntimeError, match=r"3: the label of the weights .* is damaged; remove it"):
        network(groups.P4()).load_state_dict(state)
    del state["3._extra_state"]
    network(groups.P4()).load_state_dict(state)
