import json

import pytest
import torch

from experiments.common.errors import UserError
from experiments.polyp.networks import build_network
from experiments.polyp.train import POLYP
from experiments.running.checkpoints import load_network, make_record
from experiments.running.run_folder import RunFolder, describe_environment

OPTIONS = {"network": "p4", "size": 64, "root": None, "devices": 1}


def test_a_new_run_folder_records_options_and_environment(tmp_path):
    folder = RunFolder(tmp_path / "deep" / "run")
    folder.prepare(OPTIONS)
    assert folder.config() == OPTIONS
    environment = json.loads((folder.path / "environment.json").read_text())
    assert environment["versions"]["torch"] == torch.__version__
    assert not folder.finished


def test_the_same_options_continue_a_run_and_free_ones_may_change(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.prepare(OPTIONS)
    folder.prepare(OPTIONS)
    folder.prepare(OPTIONS | {"devices": 4}, free=["devices"])
    assert folder.config() == OPTIONS


def test_other_options_are_refused_and_named(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.prepare(OPTIONS)
    with pytest.raises(UserError, match="size: 64 there, 96 now, seed: None there, 3 now") as error:
        folder.prepare(OPTIONS | {"size": 96, "seed": 3})
    assert "network" not in str(error.value)
    assert folder.config() == OPTIONS


def test_an_option_that_was_not_recorded_had_its_default(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.prepare(OPTIONS)
    folder.prepare(OPTIONS | {"steps": 0}, defaults={"steps": 0})
    with pytest.raises(UserError, match="steps: 0 there, 9 now"):
        folder.prepare(OPTIONS | {"steps": 9}, defaults={"steps": 0})


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("ten years of work")
    with pytest.raises(UserError, match=r"thesis\.txt"):
        RunFolder(tmp_path).prepare(OPTIONS)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(UserError, match="is a file"):
        RunFolder(tmp_path / "run").prepare(OPTIONS)


@pytest.mark.parametrize("contents", ["{size: [", "just words", "\udcff"])
def test_a_broken_config_is_refused_by_name(contents, tmp_path):
    (tmp_path / "config.yaml").write_bytes(contents.encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError, match=r"config\.yaml"):
        RunFolder(tmp_path).config()


def test_the_environment_names_every_package_and_is_plain_json():
    versions = json.loads(json.dumps(describe_environment()))["versions"]
    assert set(versions) == {"gcnn", "torch", "pytorch-lightning", "monai", "numpy"}


def save_run(folder: RunFolder, trained: torch.nn.Module, **changes) -> None:
    arguments = {"name": "plain", "channels": [4, 8]}
    record = make_record("polyp", arguments, {"size": 32}) | changes
    weights = {f"network.{name}": value for name, value in trained.state_dict().items()}
    folder.best.parent.mkdir(parents=True)
    torch.save({"gcnn": record, "state_dict": weights}, folder.best)


def test_a_loaded_network_computes_what_the_saved_one_did(tmp_path):
    network = build_network("plain", [4, 8])
    folder = RunFolder(tmp_path / "run")
    network(torch.rand(2, 3, 16, 16))  # moves the running statistics
    save_run(folder, network)
    images = torch.rand(1, 3, 16, 16)
    for path in (folder.path, folder.best, str(folder.path)):
        loaded, options = load_network(path)
        assert not loaded.training
        assert options == {"size": 32}
        assert torch.equal(loaded(images), network.eval()(images))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"study": "os"}, "study 'os'"),
        ({"study": "running"}, "which this version does not have"),
        ({"study": "../polyp"}, "which this version does not have"),
        ({"study": 3}, "study 3"),
        ({"network": {"name": "vgg"}}, "vgg"),
        ({"network": {"name": "plain", "wings": 2}}, "wings"),
        ({"network": {"name": "plain", "channels": [4, 16]}}, "do not fit"),
        ({"network": None}, "cannot rebuild"),
    ],
)
def test_a_checkpoint_that_makes_no_network_is_refused_by_name(changes, message, tmp_path):
    folder = RunFolder(tmp_path / "run")
    save_run(folder, build_network("plain", [4, 8]), **changes)
    with pytest.raises(UserError, match=message) as error:
        load_network(folder.path)
    assert "best.ckpt" in str(error.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_by_name(value, tmp_path):
    network = build_network("plain", [4, 8])
    next(network.parameters()).data.flatten()[3] = value
    save_run(RunFolder(tmp_path), network)
    with pytest.raises(UserError, match=r"best\.ckpt: network\..* is NaN or infinite"):
        load_network(tmp_path)


def test_a_network_of_another_study_is_refused_by_name(tmp_path):
    save_run(RunFolder(tmp_path), build_network("plain", [4, 8]), study="tumour")
    with pytest.raises(UserError, match=r"a run of the study 'tumour'; give one of 'polyp'"):
        load_network(tmp_path, POLYP)


def test_a_folder_without_a_run_is_refused_by_name(tmp_path):
    with pytest.raises(UserError, match=r"no checkpoints/best\.ckpt"):
        load_network(tmp_path)
    with pytest.raises(UserError, match="no such run"):
        load_network(tmp_path / "missing")
