"""Training the tumour networks: as many steps for few cases as for many, and exact continuing."""

import json
import math
from pathlib import Path

import pytest
import torch

from experiments.common.errors import UserError
from experiments.running.checkpoints import load_network
from experiments.running.run_folder import RunFolder
from experiments.running.study import train_run
from experiments.running.task import SegmentationTask
from experiments.tumour.networks import NETWORKS, build_network, network_arguments
from experiments.tumour.train import TUMOUR, TrainOptions

TINY = {
    "network": "plain_width",
    "channels": [1, 2],
    "size": 24,
    "count": 8,
    "steps": 6,
    "validations": 2,
    "accelerator": "cpu",
}


def options(out, **changes):
    return TrainOptions(out=out, **TINY | changes)


def weights(run):
    return torch.load(RunFolder(run).last, weights_only=True)["state_dict"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished run with all regions and scale augmentation."""
    run = tmp_path_factory.mktemp("trained") / "run"
    train_run(TUMOUR, options(run, train_cases=3, regions=["all"], augment="scale"))
    return run


def test_a_run_can_be_loaded_and_says_what_it_was(trained):
    network, config = load_network(trained)
    assert network(torch.rand(1, 4, 32, 32, 32)).shape == (1, 3, 32, 32, 32)
    assert config == RunFolder(trained).config() | {
        "modalities": ["flair", "t1", "t1ce", "t2"],
        "labels": {"whole": [1, 2, 4], "core": [1, 4], "enhancing": [4]},
    }
    assert (config["train_cases"], config["regions"], config["augment"]) == (3, ["all"], "scale")
    assert len(json.loads((trained / "split.json").read_text())["train"]) == 3
    assert RunFolder(trained).result()["epochs"] == 2


def test_a_training_that_broke_off_ends_with_bitwise_the_same_weights(
    trained, tmp_path, monkeypatch
):
    again = options(tmp_path, train_cases=3, regions=["all"], augment="scale")
    step = SegmentationTask.training_step

    def break_down(task, batch, index):
        if task.current_epoch == 1 and index == 1:
            raise RuntimeError("the machine broke down")
        return step(task, batch, index)

    with monkeypatch.context() as patched:
        patched.setattr(SegmentationTask, "training_step", break_down)
        with pytest.raises(RuntimeError, match="broke down"):
            train_run(TUMOUR, again)
    train_run(TUMOUR, again)
    first, second = weights(trained), weights(tmp_path)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_patches_are_trained_on_and_whole_volumes_validated_through_windows(tmp_path):
    result = train_run(
        TUMOUR, options(tmp_path, size=48, patch=16, batch_size=2, steps=2, validations=1)
    )
    assert 0 <= result["best_dice"] <= 1


@pytest.mark.parametrize("steps", [100, 400, 999])
@pytest.mark.parametrize("validations", [0, 1, 7, 20])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_few_and_many_cases_get_nearly_the_same_steps(steps, validations, batch_size, tmp_path):
    for cases in (10, 15, 25):
        batches = math.ceil(cases / batch_size)
        epochs, interval = options(tmp_path, steps=steps, validations=validations).schedule(batches)
        assert epochs % interval == 0
        assert validations == 0 or epochs // interval <= validations
        assert interval == 1 or epochs // interval > validations / 2
        assert steps <= epochs * batches < steps + interval * batches + batches


def test_without_steps_the_epochs_are_those_asked_for(tmp_path):
    asked = options(tmp_path, steps=0, max_epochs=13, validations=0)
    assert asked.schedule(5) == (13, 1)


@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_takes_all_modalities_and_gives_all_regions(network, tmp_path):
    chosen = {"network": network, "regions": ["all"], "modalities": ["t1", "flair"]}
    config = options(tmp_path, **chosen).config()
    built = build_network(**network_arguments(config, TUMOUR.open_data(config)))
    assert built(torch.rand(1, 2, 16, 16, 32)).shape == (1, 3, 16, 16, 32)


def test_the_window_is_that_of_the_scale_networks_alone(tmp_path):
    def sizes(network):
        config = options(tmp_path, network=network, window=5).config()
        return network_arguments(config, TUMOUR.open_data(config)).get("kernel_size")

    assert [sizes(network) for network in ("scale_mean", "plain_width")] == [5, None]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": "vgg"}, "--network vgg: unknown; choose from plain, plain_parameters"),
        ({"channels": [4]}, "--channels 4: give 2 to 4"),
        ({"channels": [4, 0]}, "--channels 4 0"),
        ({"channels": [1, 2, 3, 4, 5]}, "--channels 1 2 3 4 5"),
        ({"window": 4}, "--window 4: only an odd one"),
        ({"window": 1}, "--window 1: must be at least 3"),
        ({"steps": -1}, "--steps -1"),
        ({"validations": -1}, "--validations -1"),
        ({"train_cases": 0}, "--train_cases 0"),
        ({"seed": -1}, "--seed -1"),
    ],
)
def test_a_training_that_makes_no_sense_is_refused(changes, message, tmp_path):
    with pytest.raises(UserError, match=message):
        options(tmp_path, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_cases": 20}, "--train_cases 20: must be from 1 to 6"),
        ({"spacing": 0.0}, "spacing"),
        ({"dataset": "brats"}, "root"),
        ({"root": Path("/tmp")}, "root"),
        ({"batch_size": 0}, "batch_size"),
        ({"patch": 24}, "patch.*16"),
    ],
)
def test_data_that_cannot_be_are_refused_before_anything_is_made(changes, message, tmp_path):
    with pytest.raises(UserError, match=message):
        train_run(TUMOUR, options(tmp_path / "run", **changes))
    assert not (tmp_path / "run").exists()
