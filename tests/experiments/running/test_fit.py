import csv
import errno
import os
import shutil
import signal
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader

from experiments.common.errors import UserError
from experiments.data.order import EpochOrder
from experiments.running.checkpoints import make_record
from experiments.running.fit import fit
from experiments.running.hardware import HardwareOptions
from experiments.running.run_folder import RunFolder
from experiments.running.task import SegmentationTask
from experiments.running.training_options import TrainOptions

CPU = {"accelerator": "cpu"}


class Noise(pl.LightningDataModule):
    """Sixteen random images of the given space, in an order that depends on the epoch."""

    def __init__(self, space=(8, 8), workers=0, stop_at=None, stop_with=None):
        super().__init__()
        images = torch.rand(16, 1, *space, generator=torch.Generator().manual_seed(0))
        self.items = [{"image": image, "mask": (image > 0.6).float()} for image in images]
        self.workers = workers
        self.stop_at, self.stop_with = stop_at, stop_with

    def __getitem__(self, key):
        epoch, index = key
        if epoch == self.stop_at and index == 3:
            self.stop_with()
        return self.items[index]

    def __len__(self):
        return len(self.items)

    def train_dataloader(self):
        order = EpochOrder(16, 0, lambda: self.trainer.current_epoch)
        return DataLoader(self, batch_size=4, sampler=order, num_workers=self.workers)

    def val_dataloader(self):
        return DataLoader(self.items[:4], batch_size=4)


def small_network(dim=2):
    torch.manual_seed(3)
    conv, norm = {2: (nn.Conv2d, nn.BatchNorm2d), 3: (nn.Conv3d, nn.BatchNorm3d)}[dim]
    layers = [conv(1, 4, 3, padding=1), norm(4), nn.ReLU(), nn.Dropout(0.5), conv(4, 1, 1)]
    return nn.Sequential(*layers)


def run(path: Path, data=None, network=None, interval=1, **options):
    """The result and the weights of a training of three epochs."""
    chosen = CPU | {"max_epochs": 3, "learning_rate": 0.05} | options
    training = TrainOptions(out=path, network="small", **chosen)
    network = network or small_network()
    task = SegmentationTask(network, training.learning_rate, max_epochs=training.max_epochs)
    record = make_record("polyp", {}, {})
    result = fit(task, data or Noise(), RunFolder(path), record, training, interval)
    return result, network.state_dict()


def equal(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def interrupt():
    raise RuntimeError("the machine broke down")


def rows(path: Path):
    with (path / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_training_writes_every_epoch_and_its_result(tmp_path):
    result, _ = run(tmp_path)
    assert [int(row["epoch"]) for row in rows(tmp_path)] == [0, 1, 2]
    best = max(rows(tmp_path), key=lambda row: float(row["validation/dice"]))
    assert result["best_dice"] == float(best["validation/dice"])
    assert result["best_epoch"] == int(best["epoch"])
    assert result["epochs"] == 3
    assert RunFolder(tmp_path).result() == result


def test_a_training_is_repeatable(tmp_path):
    assert equal(run(tmp_path / "first")[1], run(tmp_path / "second")[1])


@pytest.mark.parametrize("workers", [0, 1])
def test_an_interrupted_training_ends_with_bitwise_the_same_weights(workers, tmp_path):
    _, straight = run(tmp_path / "straight")
    with pytest.raises(RuntimeError, match="broke down"):
        run(tmp_path / "broken", Noise(workers=workers, stop_at=1, stop_with=interrupt))
    assert len(rows(tmp_path / "broken")) == 1
    _, continued = run(tmp_path / "broken", Noise(workers=workers))
    assert equal(straight, continued)
    scores = [
        [row["validation/loss"] for row in rows(tmp_path / n)] for n in ("straight", "broken")
    ]
    assert scores[0] == scores[1]


@pytest.mark.parametrize("stop_at", [1, 2, 3])
def test_validating_less_often_changes_neither_weights_nor_continuing(stop_at, tmp_path):
    options = {"max_epochs": 4, "interval": 2}
    often, expected = run(tmp_path / "often", max_epochs=4)
    straight, weights = run(tmp_path / "straight", **options)
    assert equal(weights, expected)
    scores = [row["validation/dice"] for row in rows(tmp_path / "straight")]
    assert [score != "" for score in scores] == [False, True, False, True]
    assert scores[3] == rows(tmp_path / "often")[3]["validation/dice"]
    assert straight["best_dice"] == max(float(score) for score in scores if score)
    assert straight["best_epoch"] in (1, 3) and often["epochs"] == straight["epochs"] == 4
    with pytest.raises(RuntimeError, match="broke down"):
        run(tmp_path / "broken", Noise(stop_at=stop_at, stop_with=interrupt), **options)
    continued, again = run(tmp_path / "broken", **options)
    assert equal(again, expected)
    assert continued == straight | {"seconds": continued["seconds"]}
    assert [row["validation/dice"] for row in rows(tmp_path / "broken")] == scores


def test_a_training_that_ends_before_its_first_validation_still_leaves_a_network(tmp_path):
    run(tmp_path, max_epochs=1, interval=2)
    assert RunFolder(tmp_path).best.exists()


def test_a_training_that_broke_off_in_its_first_epoch_starts_again(tmp_path):
    with pytest.raises(RuntimeError, match="broke down"):
        run(tmp_path / "broken", Noise(stop_at=0, stop_with=interrupt))
    assert equal(run(tmp_path / "straight")[1], run(tmp_path / "broken")[1])


def test_a_moved_run_folder_continues(tmp_path):
    with pytest.raises(RuntimeError, match="broke down"):
        run(tmp_path / "here", Noise(stop_at=2, stop_with=interrupt))
    shutil.move(tmp_path / "here", tmp_path / "there")
    result, weights = run(tmp_path / "there")
    straight, expected = run(tmp_path / "straight")
    assert equal(weights, expected)
    assert result["best_dice"] == straight["best_dice"]
    assert not (tmp_path / "here").exists()


def test_a_broken_last_checkpoint_falls_back_to_the_best(tmp_path, capsys):
    with pytest.raises(RuntimeError, match="broke down"):
        run(tmp_path / "run", Noise(stop_at=2, stop_with=interrupt))
    folder = RunFolder(tmp_path / "run")
    folder.last.write_bytes(folder.last.read_bytes()[:500])
    _, weights = run(folder.path)
    assert "last.ckpt: broken" in (message := capsys.readouterr().out)
    assert "continuing from best.ckpt" in message
    assert equal(weights, run(tmp_path / "straight")[1])


def test_broken_checkpoints_are_named_and_left_alone(tmp_path):
    with pytest.raises(RuntimeError, match="broke down"):
        run(tmp_path / "run", Noise(stop_at=2, stop_with=interrupt))
    folder = RunFolder(tmp_path / "run")
    for path in (folder.last, folder.best):
        path.write_text("not a checkpoint")
    with pytest.raises(UserError, match=r"last\.ckpt.*best\.ckpt"):
        run(folder.path)
    assert folder.last.read_text() == "not a checkpoint"
    assert not folder.finished


def test_a_disk_that_fills_up_is_named_and_the_training_continues_when_there_is_room(
    tmp_path, monkeypatch
):
    def fill_up():
        def full(_descriptor):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(UserError, match=r"metrics\.csv.*No space left"):
        run(tmp_path / "run", Noise(stop_at=1, stop_with=fill_up))
    monkeypatch.undo()
    assert len(rows(tmp_path / "run")) == 1
    assert equal(run(tmp_path / "run")[1], run(tmp_path / "straight")[1])


def test_an_interrupt_from_the_keyboard_reaches_the_caller(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Noise(stop_at=1, stop_with=lambda: os.kill(os.getpid(), signal.SIGINT)))
    assert signal.getsignal(signal.SIGINT) is before
    assert not RunFolder(tmp_path).finished
    assert run(tmp_path)[0]["epochs"] == 3


def test_training_stops_when_the_score_no_longer_improves_and_stays_stopped(tmp_path):
    options = {"max_epochs": 9, "patience": 1, "learning_rate": 1e-9}
    result, weights = run(tmp_path, **options)
    assert result["epochs"] == 2
    RunFolder(tmp_path).result_file.unlink()  # as if killed just before it was written
    again, same_weights = run(tmp_path, **options)
    assert again["epochs"] == 2
    assert equal(weights, same_weights)


def test_training_stops_when_its_time_is_over(tmp_path):
    assert run(tmp_path, max_epochs=9, max_minutes=1e-4)[0]["epochs"] == 1


@pytest.mark.parametrize("precision", ["bf16-mixed"])
def test_mixed_precision_trains_and_keeps_float32_weights(precision, tmp_path):
    result, weights = run(tmp_path, precision=precision)
    assert result["epochs"] == 3
    assert all(w.dtype in (torch.float32, torch.int64) for w in weights.values())


def test_volumes_train_like_images(tmp_path):
    assert run(tmp_path, Noise(space=(4, 4, 4)), small_network(dim=3))[0]["epochs"] == 3


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ({"accelerator": "abacus"}, "abacus"),
        ({"accelerator": "tpu"}, "torch_xla"),
        ({"strategy": "magic"}, "magic"),
    ],
)
def test_hardware_that_is_not_there_is_refused(missing, message, tmp_path):
    with pytest.raises(UserError, match=f"cannot train on this hardware.*{message}"):
        run(tmp_path, **missing)


@pytest.mark.parametrize("accelerator", ["auto", "cpu"])
def test_more_devices_than_there_are_are_refused_with_their_number(accelerator):
    options = HardwareOptions(accelerator=accelerator, devices=99_999)
    with pytest.raises(UserError, match=r"--devices 99999: this machine has \d+ (CPU core|GPU)"):
        options.require_devices()
    HardwareOptions(accelerator=accelerator, devices=1).require_devices()
    HardwareOptions(accelerator=accelerator, devices=-1).require_devices()


def test_a_training_that_diverges_stops_with_an_error_and_keeps_the_last_good_state(tmp_path):
    network = small_network()

    def poison():
        with torch.no_grad():
            network[0].weight.fill_(float("nan"))

    with pytest.raises(UserError, match=r"diverged in epoch 2 \(network\.0\.weight.*learning_rate"):
        run(tmp_path, Noise(stop_at=1, stop_with=poison), network)
    assert not RunFolder(tmp_path).finished
    assert equal(run(tmp_path)[1], run(tmp_path / "straight")[1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_epochs": 0}, "--max_epochs 0: must be at least 1"),
        ({"patience": -1}, "--patience -1"),
        ({"learning_rate": 0.0}, "--learning_rate 0.0: must be greater than 0"),
        ({"learning_rate": float("nan")}, "--learning_rate nan"),
        ({"max_minutes": -2.0}, "--max_minutes -2.0"),
        ({"weight_decay": -1.0}, "--weight_decay"),
        ({"gradient_clip": -1.0}, "--gradient_clip"),
        ({"seed": -1}, "--seed -1"),
        ({"seed": 2**64}, "--seed 18446744073709551616: must be at most .*64 bits"),
    ],
)
def test_training_options_out_of_range_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        TrainOptions(out=Path("run"), network="small", **options)


@pytest.mark.parametrize("options", [{"devices": 0}, {"devices": -2}, {"nodes": 0}])
def test_hardware_options_out_of_range_are_refused(options):
    with pytest.raises(UserError, match="must be at least 1"):
        HardwareOptions(**options)
