"""The data module serves every part as promised, and the same to a resumed training."""

import os

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.distributed import DistributedSamplerWrapper
from PIL import Image
from torch import nn

from experiments.common.errors import UserError
from experiments.common.splits import PARTS
from experiments.polyp.datamodule import PolypData
from experiments.polyp.generated import write_generated
from experiments.polyp.images import read_pair


def small(**options):
    """A data module of few small samples."""
    return PolypData(**{"size": 16, "count": 20, "batch_size": 4, **options})


class Recorder(pl.LightningModule):
    """Learns nothing to speak of and remembers every batch it is trained on."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 1, 1)
        self.seen = []

    def training_step(self, batch, _):
        self.seen.append((self.current_epoch, batch["name"], batch["image"].clone()))
        return self.layer(batch["image"]).mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


def fit(folder, data, epochs, resume_from=None):
    """Train a recorder; its batches, and the checkpoint of the last epoch."""
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    model = Recorder()
    trainer.fit(model, datamodule=data, ckpt_path=resume_from)
    checkpoint = folder / f"{epochs}.ckpt"
    trainer.save_checkpoint(checkpoint)
    return model.seen, checkpoint


def same(first, second):
    """Whether two lists of batches agree in epoch, names and every pixel."""
    return len(first) == len(second) and all(
        a[:2] == b[:2] and torch.equal(a[2], b[2]) for a, b in zip(first, second, strict=True)
    )


@pytest.mark.parametrize("dataset", ["generated", "kvasir", "clinicdb"])
def test_items_are_images_masks_and_names_of_the_promised_kind(dataset, request):
    root = None if dataset == "generated" else request.getfixturevalue(dataset)
    data = small(dataset=dataset, root=root)
    for part in PARTS:
        samples = data.dataset_for(part)
        assert samples.names == getattr(data.split, part)
        for index in range(len(samples)):
            item = samples[index]
            assert item["name"] == samples.names[index]
            assert item["image"].shape == (3, 16, 16)
            assert item["mask"].shape == (1, 16, 16)
            assert item["image"].dtype == item["mask"].dtype == torch.float32
            assert 0 <= item["image"].min() <= item["image"].max() <= 1
            assert item["image"].max() > 0.2
            assert set(item["mask"].unique().tolist()) <= {0.0, 1.0}


def test_a_sample_belongs_to_the_file_of_its_name(kvasir):
    samples = small(dataset="kvasir", root=kvasir).dataset_for("train")
    for index, name in enumerate(samples.names):
        image, mask = (kvasir / folder / f"{name}.jpg" for folder in ("images", "masks"))
        pixels, inside = read_pair(image, mask, 16)
        assert np.array_equal(255 * samples[index]["image"].numpy(), pixels)
        assert np.array_equal(samples[index]["mask"].numpy(), inside)


def test_batches_hold_every_sample_of_their_part_once():
    data = small()
    loaders = (data.train_dataloader(), data.val_dataloader(), data.test_dataloader())
    for part, loader in zip(PARTS, loaders, strict=True):
        names = [name for batch in loader for name in batch["name"]]
        assert sorted(names) == sorted(getattr(data.split, part))
    assert [name for batch in data.test_dataloader() for name in batch["name"]] == list(
        data.split.test
    )


@pytest.mark.parametrize("augment", ["none", "rotate"])
def test_a_resumed_training_sees_exactly_the_same_batches(tmp_path, augment):
    uninterrupted, _ = fit(tmp_path, small(augment=augment), epochs=4)
    first, checkpoint = fit(tmp_path, small(augment=augment), epochs=2)
    second, _ = fit(tmp_path, small(augment=augment), epochs=4, resume_from=checkpoint)
    assert same(uninterrupted, first + second)


def test_the_order_differs_between_epochs_and_between_seeds(tmp_path):
    seen, _ = fit(tmp_path, small(), epochs=2)
    names = [[n for epoch, batch, _ in seen if epoch == e for n in batch] for e in range(2)]
    assert names[0] != names[1]
    assert sorted(names[0]) == sorted(names[1])
    orders = [list(small(seed=seed).train_dataloader().sampler) for seed in range(2)]
    assert orders[0] != orders[1]


@pytest.mark.parametrize("augment", ["none", "rotate"])
def test_worker_processes_change_no_batch(tmp_path, augment):
    alone, _ = fit(tmp_path, small(augment=augment), epochs=2)
    helped, _ = fit(tmp_path, small(augment=augment, workers=2), epochs=2)
    assert same(alone, helped)


def test_several_devices_share_the_samples_of_an_epoch():
    data = small()
    order = data.train_dataloader().sampler
    shares = [
        list(DistributedSamplerWrapper(order, num_replicas=2, rank=rank)) for rank in range(2)
    ]
    assert sorted(shares[0] + shares[1]) == [(0, index) for index in range(14)]


def test_a_stage_reads_its_parts_beforehand(kvasir):
    data = small(dataset="kvasir", root=kvasir)
    data.setup("fit")
    for name in (*data.split.train, *data.split.validation):
        (kvasir / "images" / f"{name}.jpg").unlink()
    assert sum(len(batch["name"]) for batch in data.train_dataloader()) == 6
    assert sum(len(batch["name"]) for batch in data.val_dataloader()) == 2


def test_a_generated_set_read_back_from_its_folder_is_the_same(tmp_path):
    write_generated(tmp_path / "set", count=20, size=16, seed=3)
    data = small(seed=3)
    read = small(dataset="kvasir", root=tmp_path / "set", seed=3)
    assert read.split == data.split
    for part in PARTS:
        assert torch.equal(read.dataset_for(part).images, data.dataset_for(part).images)
        assert torch.equal(read.dataset_for(part).masks, data.dataset_for(part).masks)


def test_files_are_read_once(kvasir):
    data = small(dataset="kvasir", root=kvasir)
    first = [batch["image"] for batch in data.test_dataloader()]
    for image in (kvasir / "images").iterdir():
        image.unlink()
    second = [batch["image"] for batch in data.test_dataloader()]
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_limited_training_set_is_the_beginning_of_a_larger_one():
    full, eight, four = small(), small(limit_train=8), small(limit_train=4)
    assert eight.split.train == full.split.train[:8]
    assert four.split.train == full.split.train[:4]
    assert four.split.test == full.split.test
    assert len(four.samples) == 4 + len(full.split.validation) + len(full.split.test)


def test_the_sequences_of_clinicdb_stay_together(clinicdb):
    sequence = {"1": "1", "2": "1", "3": "1", "10": "1", "26": "2", "27": "2"}
    sequence |= {"52": "3", "53": "3", "68": "4", "69": "4"}
    split = small(dataset="clinicdb", root=clinicdb, split="sequence").split
    found = [{sequence[name] for name in getattr(split, part)} for part in PARTS]
    assert sum(map(len, found)) == 4


def test_the_description_says_what_the_data_were(kvasir):
    assert small(dataset="kvasir", root=kvasir, seed=5).describe() == {
        "dataset": "kvasir",
        "root": str(kvasir),
        "size": 16,
        "batch_size": 4,
        "split": "random",
        "seed": 5,
        "augment": "none",
        "counts": {"train": 6, "validation": 2, "test": 2},
    }
    assert small(lit=True).describe()["lit"] is True


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dataset": "etis"}, "dataset is 'etis': choose one of generated, kvasir, clinicdb"),
        ({"augment": "heavy"}, "augment is 'heavy': choose one of none, light, rotate"),
        ({"split": "video"}, "unknown split 'video'"),
        ({"split": "sequence"}, "generated has no video sequences"),
        ({"size": 0}, "size is 0: it should be at least 1"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"workers": -1}, "workers is -1"),
        ({"seed": -1}, "seed is -1"),
        ({"count": 2}, "count is 2: it should be at least 3"),
        ({"limit_train": 15}, "limit_train is 15: it should be from 1 to 14"),
        ({"limit_train": 0}, "limit_train is 0"),
        ({"root": "somewhere"}, r"leave out root \(somewhere\)"),
        ({"dataset": "kvasir"}, "kvasir needs root"),
        ({"dataset": "kvasir", "root": "somewhere"}, "somewhere is not a folder"),
        ({"dataset": "kvasir", "root": "somewhere", "lit": True}, "lit is for generated data"),
    ],
)
def test_an_option_out_of_range_is_refused_with_its_value(options, message):
    with pytest.raises(UserError, match=message):
        small(**options)


def test_an_unknown_part_is_refused():
    with pytest.raises(UserError, match="part is 'all': choose one of train, validation, test"):
        small().dataset_for("all")


def test_a_corrupt_image_stops_the_reading_by_name(kvasir):
    data = small(dataset="kvasir", root=kvasir)
    damaged = kvasir / "images" / f"{data.split.train[3]}.jpg"
    damaged.write_bytes(b"not a picture")
    with pytest.raises(UserError, match=damaged.name):
        data.train_dataloader()


def test_one_mask_of_another_size_stops_the_reading_by_name(kvasir):
    data = small(dataset="kvasir", root=kvasir)
    odd = kvasir / "masks" / f"{data.split.test[0]}.jpg"
    Image.new("L", (5, 5)).save(odd)
    with pytest.raises(UserError, match=rf"{odd.name} is 5x5"):
        data.test_dataloader()


@pytest.mark.parametrize(
    ("variable", "dataset", "split", "count"),
    [
        ("GCNN_KVASIR", "kvasir", "random", 1000),
        ("GCNN_CLINICDB", "clinicdb", "random", 612),
        ("GCNN_CLINICDB", "clinicdb", "sequence", 612),
    ],
)
def test_the_real_data_sets_are_served(variable, dataset, split, count):
    if variable not in os.environ:
        pytest.skip(f"set {variable} to the folder of the data set to test on the real one")
    data = PolypData(dataset, root=os.environ[variable], size=32, split=split, limit_train=8)
    full = PolypData(dataset, root=os.environ[variable], size=32, split=split)
    assert len(full.samples) == count
    assert abs(len(full.split.train) / count - 0.7) < 0.04
    batch = next(iter(data.train_dataloader()))
    assert batch["image"].shape == (8, 3, 32, 32)
    assert batch["image"].std() > 0.05
    assert 0 < batch["mask"].mean() < 0.6
