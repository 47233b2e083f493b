"""The data module serves every part as promised, and the same to a resumed training."""

import os

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from experiments.common.errors import UserError
from experiments.common.splits import PARTS
from experiments.tumour.datamodule import MULTIPLE, TumourData
from experiments.tumour.generated import write_generated
from experiments.tumour.splits import split_cases
from experiments.tumour.volumes import preprocess
from tests.experiments.tumour_cases import outline, save_brats, save_msd, save_nifti

NAMES = [f"case{number}" for number in range(40)]


def small(**options):
    """A data module of few small volumes."""
    return TumourData(**{"count": 10, "size": 24, "modalities": ["flair", "t2"], **options})


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A generated set in the layout of BraTS."""
    root = tmp_path_factory.mktemp("data") / "set"
    write_generated(root, count=10, size=24, seed=3)
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
        self.layer = nn.Conv3d(2, 1, 1)
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
    """Whether two lists of batches agree in epoch, names and every voxel."""
    return len(first) == len(second) and all(
        a[:2] == b[:2] and torch.equal(a[2], b[2]) for a, b in zip(first, second, strict=True)
    )


@pytest.mark.parametrize("regions", ["whole", "all"])
@pytest.mark.parametrize("dataset", ["generated", "brats", "msd"])
def test_items_are_volumes_masks_and_names_of_the_promised_kind(dataset, regions, request):
    fixture = {"brats": "written", "msd": "decathlon"}.get(dataset)
    root = None if fixture is None else request.getfixturevalue(fixture)
    data = small(dataset=dataset, root=root, regions=regions, spacing=1.5)
    assert data.modalities == ("flair", "t2")
    for part in PARTS:
        samples = data.dataset_for(part)
        assert samples.names == getattr(data.split, part)
        for index in range(len(samples)):
            item = samples[index]
            assert item["name"] == samples.names[index]
            assert item["image"].shape[0] == 2
            assert item["mask"].shape[0] == {"whole": 1, "all": 3}[regions]
            assert item["image"].shape[1:] == item["mask"].shape[1:]
            assert all(length % MULTIPLE == 0 for length in item["image"].shape[1:])
            assert item["image"].dtype == item["mask"].dtype == torch.float32
            assert set(item["mask"].unique().tolist()) == {0.0, 1.0}
            for channel in item["image"]:
                assert abs(channel.mean()) < 0.1
                assert 0.3 < channel[channel != 0].std() < 1.5


def test_a_sample_is_the_preprocessed_volume_of_its_name_with_zeros_around_it():
    data = small(spacing=2.5, regions="all")
    samples = data.dataset_for("test")
    for index, name in enumerate(samples.names):
        volume = preprocess(data.volume(name), 2.5)
        shape = volume.grid.shape
        image, mask = (samples[index][key].numpy() for key in ("image", "mask"))
        start = [
            (padded - length) // 2 for padded, length in zip(image.shape[1:], shape, strict=True)
        ]
        inner = (slice(None), *(slice(s, s + n) for s, n in zip(start, shape, strict=True)))
        assert np.array_equal(image[inner], volume.image)
        assert np.array_equal(mask[inner], volume.mask)
        assert np.abs(image).sum() == pytest.approx(np.abs(volume.image).sum(), rel=1e-4)


def test_a_volume_that_fits_its_multiple_is_not_padded_further():
    data = small(size=48, count=3)
    for part in PARTS:
        for name, image in zip(
            data.dataset_for(part).names, data.dataset_for(part).images, strict=True
        ):
            shape = np.array(preprocess(data.volume(name), 2.0).grid.shape)
            assert (np.array(image.shape[1:]) - shape < MULTIPLE).all()


def test_batches_hold_every_sample_of_their_part_once():
    data = small(batch_size=3)
    loaders = (data.train_dataloader(), data.val_dataloader(), data.test_dataloader())
    for part, loader in zip(PARTS, loaders, strict=True):
        names = [name for batch in loader for name in batch["name"]]
        assert sorted(names) == sorted(getattr(data.split, part))
    assert [len(batch["name"]) for batch in data.train_dataloader()] == [3, 3]
    assert [len(batch["name"]) for batch in data.test_dataloader()] == [1, 1]


@pytest.mark.parametrize("patch", [None, 16])
def test_volumes_of_different_shapes_make_batches(tmp_path, patch):
    for number in range(5):
        save_brats(tmp_path, f"p{number}", ("flair", "t2", "seg"), seed=number)
    for kind in ("flair", "t2", "seg"):
        shape = (60, 20, 34)
        values = (
            outline(shape)
            if kind == "seg"
            else np.random.default_rng(len(kind)).integers(1, 1000, shape).astype(np.int16)
        )
        for name in ("p1", "p3"):
            varied = values if kind == "seg" else values + int(name[1])
            save_nifti(tmp_path / name / f"{name}_{kind}.nii.gz", varied)
    data = TumourData("brats", tmp_path, batch_size=3, patch=patch)
    (batch,) = data.train_dataloader()
    assert batch["image"].shape[:2] == (3, 2)
    if patch:
        assert batch["image"].shape[2:] == (16, 16, 16)


@pytest.mark.parametrize(("augment", "patch"), [("none", None), ("scale", None), ("scale", 16)])
def test_a_resumed_training_sees_exactly_the_same_batches(tmp_path, augment, patch):
    options = {"augment": augment, "patch": patch, "batch_size": 2}
    uninterrupted, _ = fit(tmp_path, small(**options), epochs=4)
    first, checkpoint = fit(tmp_path, small(**options), epochs=2)
    second, _ = fit(tmp_path, small(**options), epochs=4, resume_from=checkpoint)
    assert same(uninterrupted, first + second)


def test_worker_processes_change_no_batch(tmp_path):
    options = {"augment": "scale", "patch": 16, "batch_size": 2}
    alone, _ = fit(tmp_path, small(**options), epochs=2)
    helped, _ = fit(tmp_path, small(**options, workers=1), epochs=2)
    assert same(alone, helped)


def test_a_generated_set_read_back_from_its_folder_is_the_same(written):
    data = small(seed=3, regions="all")
    read = small(dataset="brats", root=written, seed=3, regions="all")
    assert read.split == data.split
    for part in PARTS:
        for one, other in zip(data.dataset_for(part), read.dataset_for(part), strict=True):
            assert torch.equal(one["image"], other["image"])
            assert torch.equal(one["mask"], other["mask"])


def test_files_are_read_once(decathlon):
    data = small(dataset="msd", root=decathlon)
    data.setup("fit")
    for file in (*(decathlon / "imagesTr").iterdir(), *(decathlon / "labelsTr").iterdir()):
        file.unlink()
    assert sum(len(batch["name"]) for batch in data.train_dataloader()) == 4
    assert sum(len(batch["name"]) for batch in data.val_dataloader()) == 1


def test_the_held_out_cases_do_not_depend_on_how_many_are_trained_on():
    every, ten, five = (split_cases(NAMES, 1, train=train) for train in (None, 10, 5))
    assert ten.train == every.train[:10]
    assert five.train == ten.train[:5]
    assert every.test == ten.test == five.test
    assert every.validation == ten.validation == five.validation
    assert [len(getattr(every, part)) for part in PARTS] == [28, 6, 6]
    assert sorted((*every.train, *every.validation, *every.test)) == sorted(NAMES)


def test_the_test_cases_do_not_depend_on_how_many_validate():
    assert split_cases(NAMES, 1, validation=3).test == split_cases(NAMES, 1, validation=9).test


def test_a_split_is_a_function_of_names_and_seed():
    assert split_cases(NAMES[::-1], 1) == split_cases(NAMES, 1)
    assert split_cases(NAMES, 1).test != split_cases(NAMES, 2).test
    asked = split_cases(NAMES, 1, train=10, validation=4, test=20)
    assert [len(getattr(asked, part)) for part in PARTS] == [10, 4, 20]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": 29}, "41 cases are needed, 29 to train on, 6 for validation and 6 for the test"),
        ({"train": 10, "validation": 11, "test": 20}, "41 cases are needed, .* but there are 40"),
        ({"validation": 20, "test": 20}, "41 cases are needed, 1 to train on"),
        ({"train": 0}, "train_cases is 0: it should be at least 1"),
        ({"validation": 0}, "validation_cases is 0"),
        ({"test": -2}, "test_cases is -2"),
    ],
)
def test_more_cases_than_there_are_or_none_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        split_cases(NAMES, 0, **options)


def test_a_case_that_is_there_twice_is_refused():
    with pytest.raises(UserError, match="the case case7 is there twice"):
        split_cases([*NAMES, "case7"], 0)


def test_the_description_says_what_the_data_were(written):
    data = small(dataset="brats", root=written, seed=5, patch=32, augment="flip", train_cases=4)
    assert data.describe() == {
        "dataset": "brats",
        "root": str(written),
        "modalities": ["flair", "t2"],
        "regions": ["whole"],
        "spacing": 2.0,
        "patch": 32,
        "batch_size": 1,
        "split": "random",
        "seed": 5,
        "augment": "flip",
        "counts": {"train": 4, "validation": 2, "test": 2},
    }
    assert small().describe()["size"] == 24
    assert data.title == "brats, 2 mm"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dataset": "isles"}, "dataset is 'isles': choose one of generated, brats, msd"),
        ({"regions": "core"}, "regions is 'core': choose one of whole, all"),
        ({"augment": "heavy"}, "augment is 'heavy': choose one of none, flip, scale"),
        ({"modalities": ["pet"]}, "modalities is 'pet': choose one of flair, t1, t1ce, t2"),
        ({"modalities": ["t1", "t1"]}, "modalities are t1, t1: name at least one, each once"),
        ({"spacing": 0.0}, "spacing is 0.0: it should be a positive number of millimetres"),
        ({"patch": 24}, "patch is 24: it should be a multiple of 16 voxels"),
        ({"patch": 0}, "patch is 0"),
        ({"size": 12}, "size is 12: it should be at least 20"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"workers": -1}, "workers is -1"),
        ({"seed": -1}, "seed is -1"),
        ({"count": 2}, "count is 2: it should be at least 3"),
        ({"train_cases": 7}, "11 cases are needed"),
        ({"root": "somewhere"}, r"leave out root \(somewhere\)"),
        ({"dataset": "brats"}, "brats needs root"),
        ({"dataset": "msd", "root": "somewhere"}, "somewhere is not a folder"),
    ],
)
def test_an_option_out_of_range_is_refused_with_its_value(options, message):
    with pytest.raises(UserError, match=message):
        small(**options)


def test_an_unknown_part_or_case_is_refused():
    with pytest.raises(UserError, match="part is 'all': choose one of train, validation, test"):
        small().dataset_for("all")
    with pytest.raises(UserError, match="there is no case 'p1' in generated"):
        small().volume("p1")


def test_cases_without_segmentation_are_refused_by_name(decathlon):
    (decathlon / "labelsTr" / "BRATS_003.nii.gz").unlink()
    with pytest.raises(UserError, match="BRATS_003 has no segmentation"):
        small(dataset="msd", root=decathlon)


def test_a_damaged_file_stops_the_reading_by_name(decathlon):
    data = small(dataset="msd", root=decathlon)
    damaged = decathlon / "imagesTr" / f"{data.split.train[2]}.nii.gz"
    damaged.write_bytes(damaged.read_bytes()[:3000])
    with pytest.raises(UserError, match=f"{damaged.name} of .* is truncated or corrupt"):
        data.train_dataloader()


def test_a_brain_smaller_than_the_stride_stops_the_reading_by_name(tmp_path):
    write_generated(tmp_path / "set", count=3, size=24)
    data = small(dataset="brats", root=tmp_path / "set", spacing=4.0)
    with pytest.raises(UserError, match=r"generated-000\d is .* need at least 16 along every axis"):
        data.test_dataloader()


@pytest.mark.parametrize(
    ("variable", "cases", "options"),
    [
        ("GCNN_BRATS", 8, {"regions": "all", "validation_cases": 1, "test_cases": 1}),
        ("GCNN_LGG", 90, {"train_cases": 10, "validation_cases": 2, "test_cases": 2}),
    ],
)
def test_the_real_data_sets_are_served(variable, cases, options):
    if variable not in os.environ:
        pytest.skip(f"set {variable} to the folder of the data set to test on the real one")
    root = os.environ[variable]
    assert len(TumourData("brats", root).samples) == cases
    data = TumourData("brats", root, spacing=4.0, batch_size=4, **options)
    for batch in data.train_dataloader():
        assert batch["image"].shape[0] == batch["mask"].shape[0]
        assert batch["image"].shape[2:] == batch["mask"].shape[2:]
        assert max(batch["image"].shape[2:]) <= 80
        assert 0.2 < batch["image"].std() < 1.0
        assert 0 < batch["mask"].mean() < 0.2
