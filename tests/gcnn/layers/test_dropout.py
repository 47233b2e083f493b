"""Dropout of whole fields."""

import pytest
import torch

from gcnn.layers import GroupDropout


@pytest.mark.parametrize("shape", [(50, 20, 8, 3, 3), (50, 20, 3, 3), (50, 20, 24, 2, 2, 2)])
def test_whole_fields_are_dropped_and_the_rest_is_scaled_up(shape):
    torch.manual_seed(0)
    y = GroupDropout(0.3)(torch.ones(shape)).flatten(2)
    assert torch.equal(y, y[:, :, :1].expand_as(y))
    kept = y[:, :, 0] != 0
    torch.testing.assert_close(y[kept], torch.full_like(y[kept], 1 / 0.7))
    # 1000 fields: four standard deviations are 0.058.
    assert 1 - kept.float().mean() == pytest.approx(0.3, abs=0.058)


def test_the_choice_differs_between_images_and_calls():
    torch.manual_seed(0)
    layer, x = GroupDropout(0.5), torch.ones(2, 64, 4, 1, 1)
    one, other = layer(x), layer(x)
    assert not torch.equal(one, other) and not torch.equal(one[0], one[1])


def test_eval_mode_and_zero_probability_change_nothing():
    x = torch.randn(2, 3, 4, 5, 5)
    assert GroupDropout(0.9).eval()(x) is x
    assert GroupDropout(0.0)(x) is x


def test_probability_one_drops_everything_without_nan():
    x = torch.randn(2, 3, 4, 5, 5, requires_grad=True)
    y = GroupDropout(1.0)(x)
    assert not y.any()
    y.sum().backward()
    assert not x.grad.any()


@pytest.mark.parametrize("p", [-0.1, 1.1])
def test_an_impossible_probability_is_refused(p):
    with pytest.raises(ValueError, match=rf"p must be a probability in \[0, 1\], got {p}"):
        GroupDropout(p)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_dtype_is_kept(dtype):
    assert GroupDropout(0.5)(torch.ones(2, 3, 4, 5, 5, dtype=dtype)).dtype == dtype


def test_it_prints_its_probability():
    assert repr(GroupDropout(0.25)) == "GroupDropout(p=0.25)"
