"""The data module serves every part as promised, and the same to a resumed training."""

import json
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.distributed import DistributedSamplerWrapper
from PIL import Image
from torch import nn

from experiments.common.errors import UserError
from experiments.data.generated import polyps, tumours
from experiments.data.layouts import find
from experiments.data.split import PARTS, split_cases
from experiments.data.transforms import prepare
from experiments.polyp.train import POLYP
from experiments.polyp.train import TrainOptions as ImageOptions
from experiments.tumour.data import MULTIPLE
from experiments.tumour.train import TUMOUR
from experiments.tumour.train import TrainOptions as VolumeOptions
from tests.experiments.tumour_cases import outline, save_brats, save_msd, save_nifti

HERE = Path("unused")


def images(**options):
    """The data of few small images."""
    options = {"size": 16, "count": 20, "batch_size": 4, **options}
    return POLYP.open_data(ImageOptions(out=HERE, **options).config())


def volumes(**options):
    """The data of few small volumes."""
    options = {"count": 10, "size": 24, "modalities": ["flair", "t2"], **options}
    return TUMOUR.open_data(VolumeOptions(out=HERE, **options).config())


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A generated set in the layout of BraTS."""
    root = tmp_path_factory.mktemp("data") / "set"
    tumours.write_generated(root, count=10, size=24, seed=3)
    return root


@pytest.fixture
def decathlon(tmp_path):
    for number in range(6):
        save_msd(tmp_path, number)
    return tmp_path


class Recorder(pl.LightningModule):
    """Learns nothing to speak of and remembers every batch it is trained on."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.seen = []

    def training_step(self, batch, _):
        self.seen.append((self.current_epoch, batch["name"], batch["image"].clone()))
        return (self.weight * batch["image"]).mean()

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
    """Whether two lists of batches agree in epoch, names and every value."""
    return len(first) == len(second) and all(
        a[:2] == b[:2] and torch.equal(a[2], b[2]) for a, b in zip(first, second, strict=True)
    )


@pytest.mark.parametrize("dataset", ["generated", "kvasir", "clinicdb"])
def test_items_are_images_masks_and_names_of_the_promised_kind(dataset, request):
    root = None if dataset == "generated" else request.getfixturevalue(dataset)
    data = images(dataset=dataset, root=root)
    for part in PARTS:
        samples = data.dataset_for(part)
        assert samples.names == getattr(data.split, part)
        for index, name in enumerate(samples.names):
            item = samples[index]
            assert item["name"] == name
            assert item["image"].shape == (3, 16, 16) and item["mask"].shape == (1, 16, 16)
            assert item["image"].dtype == item["mask"].dtype == torch.float32
            assert 0 <= item["image"].min() <= item["image"].max() <= 1
            assert set(item["mask"].unique().tolist()) <= {0.0, 1.0}
            prepared = prepare(data.sample(name), size=16)
            assert torch.equal(255 * item["image"], prepared.image.float())
            assert torch.equal(item["mask"], prepared.mask.float())


@pytest.mark.parametrize("regions", [None, ["all"]])
@pytest.mark.parametrize("dataset", ["generated", "brats", "msd"])
def test_items_are_the_prepared_volumes_with_zeros_around_them(dataset, regions, request):
    fixture = {"brats": "written", "msd": "decathlon"}.get(dataset)
    root = None if fixture is None else request.getfixturevalue(fixture)
    data = volumes(dataset=dataset, root=root, regions=regions, spacing=1.5)
    assert data.modalities == ("flair", "t2")
    for part in PARTS:
        for item in (data.dataset_for(part)[i] for i in range(len(getattr(data.split, part)))):
            prepared = prepare(data.sample(item["name"]), spacing=1.5)
            assert item["image"].dtype == item["mask"].dtype == torch.float32
            assert item["mask"].shape[0] == (3 if regions else 1)
            for key, values in (("image", prepared.values), ("mask", prepared.mask.float())):
                padded, edges = item[key], values.shape[1:]
                start = [(a - b) // 2 for a, b in zip(padded.shape[1:], edges, strict=True)]
                inner = [slice(s, s + n) for s, n in zip(start, edges, strict=True)]
                assert torch.equal(padded[(slice(None), *inner)], values)
                assert padded.abs().sum() == pytest.approx(float(values.abs().sum()), rel=1e-4)
                spare = np.subtract(padded.shape[1:], edges)
                assert (np.array(padded.shape[1:]) % MULTIPLE == 0).all() and spare.max() < MULTIPLE


def test_batches_hold_every_sample_of_their_part_once():
    for data, held_out in ((images(), 3), (volumes(batch_size=3), 1)):
        loaders = (data.train_dataloader(), data.val_dataloader())
        for part, loader in zip(PARTS, loaders, strict=False):
            names = [name for batch in loader for name in batch["name"]]
            assert sorted(names) == sorted(getattr(data.split, part))
        assert len(next(iter(data.val_dataloader()))["name"]) == held_out


@pytest.mark.parametrize("patch", [None, 16])
def test_volumes_of_different_shapes_make_batches(tmp_path, patch):
    for number in range(5):
        save_brats(tmp_path, f"p{number}", ("flair", "t2", "seg"), seed=number)
    shape = (60, 20, 34)
    for number, name in enumerate(("p1", "p3")):
        rng = np.random.default_rng(number)
        for kind in ("flair", "t2", "seg"):
            values = rng.integers(1, 1000, shape).astype(np.int16)
            path = tmp_path / name / f"{name}_{kind}.nii.gz"
            save_nifti(path, outline(shape) if kind == "seg" else values)
    data = volumes(dataset="brats", root=tmp_path, batch_size=3, patch=patch)
    (batch,) = data.train_dataloader()
    assert batch["image"].shape[:2] == (3, 2)
    assert patch is None or batch["image"].shape[2:] == (16, 16, 16)


CHANGES = [
    *((images, {}), (images, {"augment": "rotate"}), (volumes, {"batch_size": 2})),
    (volumes, {"augment": "scale", "patch": 16, "batch_size": 2}),
]


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize(("make", "options"), CHANGES)
def test_a_resumed_training_sees_exactly_the_same_batches(tmp_path, make, options, cached):
    cache = {"cache": tmp_path / "cache"} if cached else {}
    uninterrupted, _ = fit(tmp_path, make(**options), epochs=4)
    first, checkpoint = fit(tmp_path, make(**options, **cache), epochs=2)
    second, _ = fit(tmp_path, make(**options, **cache), epochs=4, resume_from=checkpoint)
    assert same(uninterrupted, first + second)
    names = [[n for epoch, batch, _ in first if epoch == e for n in batch] for e in range(2)]
    assert names[0] != names[1] and sorted(names[0]) == sorted(names[1])


@pytest.mark.parametrize(("make", "options"), [CHANGES[1], CHANGES[3]])
def test_worker_processes_change_no_batch(tmp_path, make, options):
    alone, _ = fit(tmp_path, make(**options), epochs=2)
    helped, _ = fit(tmp_path, make(**options, workers=1), epochs=2)
    assert same(alone, helped)


def test_several_devices_share_the_samples_of_an_epoch():
    order = images().train_dataloader().sampler
    shares = [
        list(DistributedSamplerWrapper(order, num_replicas=2, rank=rank)) for rank in range(2)
    ]
    assert sorted(shares[0] + shares[1]) == [(0, index) for index in range(14)]


def test_a_generated_set_read_back_from_its_folder_is_the_same(written, tmp_path):
    polyps.write_generated(tmp_path / "set", count=20, size=16, seed=3)
    pairs = [
        (images(seed=3), images(dataset="kvasir", root=tmp_path / "set", seed=3)),
        (
            volumes(seed=3, regions=["all"]),
            volumes(dataset="brats", root=written, seed=3, regions=["all"]),
        ),
    ]
    for made, read in pairs:
        assert read.split == made.split
        for part in PARTS:
            for one, other in zip(made.dataset_for(part), read.dataset_for(part), strict=True):
                assert torch.equal(one["image"], other["image"])
                assert torch.equal(one["mask"], other["mask"])


@pytest.mark.parametrize("cached", [False, True])
def test_files_are_read_once_and_beforehand(decathlon, cached, monkeypatch):
    cache = {"cache": decathlon / "cache"} if cached else {}
    data = volumes(dataset="msd", root=decathlon, **cache)
    data.setup("fit")
    again = volumes(dataset="msd", root=decathlon, **cache) if cached else data
    monkeypatch.setattr("experiments.data.module.read_volume", None)
    assert sum(len(batch["name"]) for batch in again.train_dataloader()) == 4
    assert sum(len(batch["name"]) for batch in again.val_dataloader()) == 1


def test_a_cache_is_not_used_for_other_files_or_other_options(decathlon):
    options = {"dataset": "msd", "root": decathlon, "cache": decathlon / "cache"}
    before = volumes(**options).dataset_for("test")[0]
    coarser = volumes(**options, spacing=2.5).dataset_for("test")[0]
    assert not torch.equal(before["image"], coarser["image"])
    path = decathlon / "labelsTr" / f"{before['name']}.nii.gz"
    save_nifti(path, np.roll(outline(labels=(1, 2, 3)), 1, 0))
    after = volumes(**options).dataset_for("test")[0]
    assert not torch.equal(before["mask"], after["mask"])


def test_a_limited_training_set_is_the_beginning_of_a_larger_one():
    full, four = images(), images(limit_train=4)
    assert four.split.train == full.split.train[:4] and four.split.test == full.split.test
    assert full.split.validation == split_cases([case.name for case in full.source.cases], 0).test


def test_the_sequences_of_clinicdb_stay_together(clinicdb):
    group = {case.name: case.group for case in find("clinicdb", clinicdb).cases}
    split = images(dataset="clinicdb", root=clinicdb, split="sequence").split
    assert sum(len({group[name] for name in getattr(split, part)}) for part in PARTS) == 4
    with pytest.raises(UserError, match="--split sequence: the data set has no video sequences"):
        images(split="sequence")


def test_the_description_says_what_the_data_were(written, kvasir):
    data = volumes(dataset="brats", root=written, seed=5, patch=16, augment="flip", train_cases=4)
    assert data.describe() == {
        "dataset": "brats",
        "root": str(written),
        "modalities": ["flair", "t2"],
        "regions": ["whole"],
        "spacing": 2.0,
        "patch": 16,
        "batch_size": 1,
        "split": "random",
        "seed": 5,
        "augment": "flip",
        "counts": {"train": 4, "validation": 2, "test": 2},
    }
    assert data.settled() == {"modalities": ["flair", "t2"], "labels": {"whole": [1, 2, 4]}}
    assert volumes().describe()["size"] == 24 and images(lit=True).describe()["lit"] is True
    assert data.title == "brats, 2 mm"
    assert images(dataset="kvasir", root=kvasir).title == "kvasir, 16 px"


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (images, {"size": 2**20}, "--size 1048576: a sample would have .* GB; [0-9]+ would fit"),
        (images, {"count": 2}, "--count 2: must be from 3 to 100000"),
        (volumes, {"count": 2}, "--count 2: must be from 3"),
        (images, {"limit_train": 15}, "--limit_train 15: must be from 1 to 14"),
        (images, {"batch_size": 0}, "--batch_size 0: must be at least 1"),
        (images, {"workers": -1}, "--workers -1: must be at least 0"),
        (volumes, {"size": 16000}, "--size 16000: a sample would have 16000x16000x16000"),
        (volumes, {"size": 12}, "--size 12: must be at least 20"),
        (volumes, {"patch": 48}, "--patch 48: must be a multiple of 16 up to 32, as the long"),
        (volumes, {"modalities": ["pet"]}, "--modalities pet: choose from flair, t1, t1ce, t2 of"),
        (volumes, {"modalities": ["t1", "t1"]}, "--modalities t1 t1: name at least one"),
        (volumes, {"regions": ["liver"]}, "--regions liver: choose all, or from whole, core, "),
        (volumes, {"train_cases": 7}, "--train_cases 7: must be from 1 to 6"),
        (volumes, {"dataset": "msd", "root": "somewhere"}, "somewhere is not a folder"),
        (images, {"dataset": "folder", "root": "somewhere", "lit": True}, "--lit is for generated"),
    ],
)
def test_options_that_cannot_be_met_are_refused_with_the_number(make, options, message):
    with pytest.raises(UserError, match=message):
        make(**options)


def test_tiny_voxels_and_large_patches_are_refused_from_the_headers(decathlon, monkeypatch):
    monkeypatch.setattr("experiments.data.module.read_volume", None)
    options = {"dataset": "msd", "root": decathlon}
    told = r"--spacing 0\.01: BRATS_00. would have 4400x4800x4000 points .* GB; 0\.0\d+ would fit"
    with pytest.raises(UserError, match=told):
        volumes(**options, spacing=0.01)
    with pytest.raises(UserError, match="--spacing 0: must be a positive number"):
        volumes(**options, spacing=0)
    with pytest.raises(UserError, match=r"--patch 64: .* up to 32, .* edge .* has 24 voxels"):
        volumes(**options, patch=64)


def test_what_fits_only_one_by_one_is_said_to_need_a_cache(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("os.sysconf", lambda name: 1 if name == "SC_PAGE_SIZE" else 10**6)
    for make, count in ((images, 2000), (volumes, 15)):
        make(count=count, cache=tmp_path)
        assert not capsys.readouterr().err
        make(count=count)
        assert f"note: {count} prepared samples take up to" in (told := capsys.readouterr().err)
        assert "--cache" in told


def test_an_unknown_part_or_case_is_refused():
    with pytest.raises(UserError, match="part is 'all': choose one of train, validation, test"):
        images().dataset_for("all")
    with pytest.raises(UserError, match="there is no case 'p1' in generated"):
        volumes().sample("p1")


def test_a_corrupt_test_file_is_found_before_the_training(decathlon, kvasir):
    for make, root, dataset in ((images, kvasir, "kvasir"), (volumes, decathlon, "msd")):
        data = make(dataset=dataset, root=root)
        path = next(c for c in data.source.cases if c.name == data.split.test[0]).files[0]
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(UserError, match=path.name):
            make(dataset=dataset, root=root)


def test_a_file_damaged_later_or_without_labels_is_told_by_name(decathlon):
    data = volumes(dataset="msd", root=decathlon)
    damaged = decathlon / "imagesTr" / f"{data.split.train[2]}.nii.gz"
    damaged.write_bytes(damaged.read_bytes()[:3000])
    with pytest.raises(UserError, match=f"{damaged.name} of .* is truncated"):
        data.train_dataloader()
    (decathlon / "labelsTr" / "BRATS_003.nii.gz").unlink()
    with pytest.raises(UserError, match="BRATS_003 has no segmentation"):
        volumes(dataset="msd", root=decathlon)


def test_copies_are_refused_among_volumes_and_said_among_images(decathlon, kvasir, capsys):
    first = decathlon / "imagesTr" / "BRATS_001.nii.gz"
    (decathlon / "imagesTr" / "BRATS_004.nii.gz").write_bytes(first.read_bytes())
    with pytest.raises(UserError, match="BRATS_004 is a copy of BRATS_001"):
        volumes(dataset="msd", root=decathlon)
    (kvasir / "images" / "cju5.jpg").write_bytes((kvasir / "images" / "cju2.jpg").read_bytes())
    Image.open(kvasir / "masks" / "cju2.jpg").save(kvasir / "masks" / "cju5.jpg")
    images(dataset="kvasir", root=kvasir)
    assert "note: cju5 is a copy of cju2" in capsys.readouterr().err


def test_empty_training_masks_are_refused_or_said(decathlon, kvasir, capsys):
    for path in (kvasir / "masks").iterdir():
        Image.new("L", Image.open(path).size).save(path)
    with pytest.raises(UserError, match="all 6 training masks of kvasir, 16 px are empty"):
        images(dataset="kvasir", root=kvasir).setup("fit")
    for path in (decathlon / "labelsTr").iterdir():
        save_nifti(path, outline(labels=(1, 2)))
    volumes(dataset="msd", root=decathlon, regions=["all"]).setup("fit")
    assert "note: no training mask of msd, 2 mm has any enhancing" in capsys.readouterr().err


def test_a_volume_of_which_hardly_anything_is_left_stops_the_reading_by_name(written):
    data = volumes(dataset="brats", root=written, spacing=7.0)
    with pytest.raises(UserError, match=r"generated-000\d is .* at least 8 are needed along every"):
        data.dataset_for("test")


def test_several_regions_or_volumes_are_not_for_the_study_of_images(decathlon, tmp_path):
    for folder in ("imagesTr", "labelsTr"):
        (tmp_path / "flat" / folder).mkdir(parents=True)
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 255, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "flat" / "imagesTr" / f"a{number}_0000.png")
        labels = np.repeat(np.arange(4, dtype=np.uint8) % 3, 64).reshape(16, 16)
        Image.fromarray(labels).save(tmp_path / "flat" / "labelsTr" / f"a{number}.png")
    table = {
        "channel_names": {"0": "R", "1": "G", "2": "B"},
        "labels": {"background": 0, "cell": 1, "nucleus": 2},
        "file_ending": ".png",
    }
    (tmp_path / "flat" / "dataset.json").write_text(json.dumps(table))
    options = {"dataset": "nnunet", "root": tmp_path / "flat"}
    with pytest.raises(UserError, match="has the regions cell, nucleus: choose one with --regions"):
        images(**options)
    data = images(**options, regions=["nucleus"])
    assert data.dataset_for("train")[0]["mask"].sum() == 64
    with pytest.raises(UserError, match=r"holds images: use python -m experiments\.polyp"):
        volumes(**options, modalities=None)
