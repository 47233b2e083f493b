"""U-Nets survive copies, files, modes and dtypes."""

import copy
import io
import pickle
from functools import partial

import pytest
import torch

from gcnn import groups
from gcnn.models import UNet

CONVOLVING = {"block": "residual", "downsampling": "strided", "upsampling": "transposed"}
SCALES = groups.ScaleTranslation([1.0, 0.9, 0.81, 0.729], dim=3)
NETWORKS = {
    "plain": partial(UNet, 3, 1),
    "p4": partial(UNet, 3, 1, groups.P4()),
    "se2_8": partial(UNet, 3, 1, groups.SE2(8)),
    "steerable_8": partial(UNet, 3, 1, groups.SteerableSE2(8)),
    "dihedral_8": partial(UNet, 3, 1, groups.Dihedral(8)),
    "volume_plain": partial(UNet, 3, 1, dim=3, **CONVOLVING),
    "volume_scale": partial(UNet, 3, 1, SCALES, kernel_size=7, pool="mean", **CONVOLVING),
}
over_names = pytest.mark.parametrize("name", NETWORKS)


def network(name, seed=0):
    torch.manual_seed(seed)
    return NETWORKS[name](channels=(2, 3))


@pytest.fixture
def x(name):
    size = (4, 6, 8) if name.startswith("volume") else (8, 8)
    return torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))


@over_names
def test_state_passes_through_a_file_between_train_and_eval_mode(name, x):
    model, file = network(name), io.BytesIO()
    model(x)
    with torch.no_grad():
        expected = model.eval()(x)
    torch.save(model.state_dict(), file)
    file.seek(0)
    other = network(name, seed=1).train()
    other.load_state_dict(torch.load(file, weights_only=True))
    with torch.no_grad():
        assert torch.equal(other.eval()(x), expected)
    back = network(name, seed=2).eval()
    back.load_state_dict(other.train().state_dict())
    with torch.no_grad():
        assert torch.equal(back(x), expected)


@over_names
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_compute_the_same(name, duplicate, x):
    model = network(name).eval()
    with torch.no_grad():
        expected = model(x)
        assert torch.equal(duplicate(model)(x), expected)


@over_names
def test_a_whole_network_passes_through_a_file(name, x, tmp_path):
    model = network(name).eval()
    with torch.no_grad():
        expected = model(x)
        torch.save(model, tmp_path / "model.pt")
        assert torch.equal(torch.load(tmp_path / "model.pt", weights_only=False)(x), expected)


@over_names
def test_parameters_and_buffers_are_weights_and_statistics_alone(name):
    names = {key.rsplit(".", 1)[1] for key in network(name).state_dict()}
    names -= {"_extra_state"}  # The label of the weights.
    assert names == {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}


@over_names
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_any_dtype(name, dtype, x):
    model = network(name).eval()
    with torch.no_grad():
        expected = model(x)
        found = model.to(dtype)(x.to(dtype))
    assert found.dtype == dtype
    assert (found.float() - expected).norm() < 0.05 * expected.norm()


@over_names
def test_channels_last_is_kept_to_the_logits(name, x):
    model = network(name).eval()
    with torch.no_grad():
        expected = model(x)
        layout = torch.channels_last if model.dim == 2 else torch.channels_last_3d
        if name != "volume_scale":
            # PyTorch takes any parameter of four axes for images, and refuses volumes' layout.
            model = model.to(memory_format=layout)
        model.head = torch.nn.Identity()
        found = model(x.contiguous(memory_format=layout))
        assert found.is_contiguous(memory_format=layout)
        torch.testing.assert_close(network(name).eval().head(found), expected, atol=1e-5, rtol=1e-5)


@over_names
def test_two_backward_passes_in_eval_mode_and_training_after(name, x):
    model = network(name).eval()
    with torch.no_grad():
        model(x)
    for _ in range(2):
        model(x).sum().backward()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with torch.no_grad():
        before = model(x)
    optimizer.step()
    with torch.no_grad():
        after = model(x)
        assert not torch.allclose(before, after)
        fresh = network(name, seed=1).eval()
        fresh.load_state_dict(model.state_dict())
        assert torch.equal(fresh(x), after)


@over_names
def test_an_empty_batch_gives_an_empty_batch(name, x):
    assert network(name).eval()(x[:0]).shape == (0, 1, *x.shape[2:])


@pytest.mark.parametrize("name", ["p4", "steerable_8"])
def test_a_network_is_built_on_the_meta_device(name, x):
    expected = network(name).eval()
    with torch.device("meta"):
        model = network(name)
    model.load_state_dict(expected.state_dict(), assign=True)
    with torch.no_grad():
        assert torch.equal(model.eval()(x), expected(x))
